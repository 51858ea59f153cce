"""Libraries written for the Array API on fusewire arrays: scikit-learn with dispatch and SciPy,
    against their own results
on NumPy's arrays.
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.cluster.hierarchy
import scipy.cluster.vq
import scipy.differentiate
import scipy.fft
import scipy.integrate
import scipy.interpolate
import scipy.ndimage
import scipy.signal
import scipy.special
import scipy.stats
import sklearn
from sklearn import metrics
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge, RidgeClassifier, RidgeCV
from sklearn.model_selection import GridSearchCV, cross_val_predict, train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    KernelCenterer,
    LabelBinarizer,
    LabelEncoder,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    PolynomialFeatures,
    StandardScaler,
)

import fusewire as xp

pytestmark = pytest.mark.filterwarnings("ignore")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 5))
LABELS = (X[:, 0] + 0.3 * X[:, 1] > 0).astype(np.int64)
GUESSES = (RNG.uniform(size=60) > 0.4).astype(np.int64)
SCORES = RNG.uniform(size=60)
TARGETS = np.abs(X @ np.arange(5.0) + 0.1 * RNG.standard_normal(60)) + 0.1
OTHERS = np.abs(RNG.standard_normal(60)) + 0.1
A, B = RNG.uniform(0.1, 1.1, 20), RNG.uniform(0.2, 1.2, 20)
M = RNG.uniform(size=(6, 5))
Z, Y = RNG.standard_normal(40), RNG.standard_normal(35)


def flat(result):
    if hasattr(result, "statistic"):
        result = (result.statistic, result.pvalue) if hasattr(result, "pvalue") else (result.statistic,)
    return [x for part in result for x in flat(part)] if isinstance(result, tuple | list) else [result]


def agree(call, *, rtol=1e-7, array=True):
    """The call gives the same on arrays of ours as on NumPy's, as arrays of ours."""
    expected, actual = flat(call(np.asarray)), flat(call(xp.asarray))
    assert len(actual) == len(expected)
    for ours, numpys in zip(actual, expected, strict=True):
        np.testing.assert_allclose(np.asarray(ours), np.asarray(numpys), rtol=rtol, atol=1e-9)
    if array:
        assert any(isinstance(ours, xp.Array) for ours in actual)


@pytest.fixture
def dispatch():
    with sklearn.config_context(array_api_dispatch=True):
        yield


TRANSFORMERS = [
    StandardScaler(), MinMaxScaler(), MaxAbsScaler(), Normalizer(), Binarizer(), PolynomialFeatures(2),
    PCA(2, svd_solver="full"), PCA(2, svd_solver="covariance_eigh"),
    PCA(2, svd_solver="randomized", random_state=0, power_iteration_normalizer="QR"),
    Nystroem(n_components=5, random_state=0), make_pipeline(StandardScaler(), PCA(2, svd_solver="full")),
]  # fmt: skip
CLASSIFIERS = [
    GaussianNB(),
    LinearDiscriminantAnalysis(),
    LogisticRegression(solver="lbfgs"),
    RidgeClassifier(solver="svd"),
]
REGRESSORS = [
    Ridge(solver="svd"), RidgeCV(), PoissonRegressor(solver="lbfgs"), GridSearchCV(Ridge(solver="svd"),
    {"alpha": [0.1, 1]}),
]  # fmt: skip


@pytest.mark.usefixtures("dispatch")
@pytest.mark.parametrize("estimator", TRANSFORMERS, ids=repr)
def test_transformers(estimator):
    agree(lambda array: clone(estimator).fit_transform(array(X)), rtol=1e-6)


@pytest.mark.usefixtures("dispatch")
@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=repr)
def test_classifiers(estimator):
    agree(lambda array: clone(estimator).fit(array(X), array(LABELS)).predict(array(X)))
    if hasattr(estimator, "predict_proba"):
        agree(lambda array: clone(estimator).fit(array(X), array(LABELS)).predict_proba(array(X)), rtol=1e-5)


@pytest.mark.usefixtures("dispatch")
@pytest.mark.parametrize("estimator", REGRESSORS, ids=repr)
def test_regressors(estimator):
    agree(lambda array: clone(estimator).fit(array(X), array(TARGETS)).predict(array(X)), rtol=1e-6)


@pytest.mark.usefixtures("dispatch")
def test_tools():
    agree(lambda array: LabelEncoder().fit_transform(array(LABELS)))
    agree(lambda array: LabelBinarizer().fit_transform(array(LABELS)))
    agree(lambda array: KernelCenterer().fit_transform(array(X @ X.T)))
    agree(lambda array: train_test_split(array(X), random_state=0))
    agree(lambda array: cross_val_predict(Ridge(solver="svd"), array(X), array(TARGETS)))


@pytest.mark.usefixtures("dispatch")
@pytest.mark.parametrize(
    "name",
    """
    explained_variance_score max_error mean_absolute_error mean_absolute_percentage_error mean_gamma_deviance
    mean_pinball_loss mean_poisson_deviance mean_squared_error mean_squared_log_error mean_tweedie_deviance
    median_absolute_error r2_score root_mean_squared_error root_mean_squared_log_error d2_absolute_error_score
    d2_pinball_score d2_tweedie_score
    """.split(),
)
def test_metrics_of_numbers(name):
    agree(lambda array: getattr(metrics, name)(array(TARGETS), array(OTHERS)), array=False)


@pytest.mark.usefixtures("dispatch")
@pytest.mark.parametrize(
    "name",
    """
    accuracy_score balanced_accuracy_score cohen_kappa_score confusion_matrix f1_score precision_score recall_score
    jaccard_score hamming_loss multilabel_confusion_matrix zero_one_loss
    """.split(),
)
def test_metrics_of_classes(name):
    agree(lambda array: getattr(metrics, name)(array(LABELS), array(GUESSES)), array=False)


@pytest.mark.usefixtures("dispatch")
@pytest.mark.parametrize(
    "name",
    """
    average_precision_score brier_score_loss d2_brier_score d2_log_loss_score log_loss det_curve precision_recall_curve
    roc_curve roc_auc_score
    """.split(),
)
def test_metrics_of_scores(name):
    agree(lambda array: getattr(metrics, name)(array(LABELS), array(SCORES)), array=False)


@pytest.mark.usefixtures("dispatch")
@pytest.mark.parametrize(
    "name",
    """
    additive_chi2_kernel chi2_kernel cosine_distances cosine_similarity euclidean_distances laplacian_kernel
    linear_kernel manhattan_distances paired_cosine_distances paired_euclidean_distances paired_manhattan_distances
    pairwise_distances pairwise_kernels polynomial_kernel rbf_kernel sigmoid_kernel pairwise_distances_argmin
    """.split(),
)
def test_distances(name):
    x, y = np.abs(X), np.abs(X[::-1] + 0.3)
    function = getattr(metrics.pairwise, name)
    # Squares of differences lose digits where points are near.
    agree(lambda array: function(array(x), array(y)), rtol=1e-5)


UNARY = """
    cbrt cosdg cosm1 cotdg ellipk ellipkm1 entr erf erfc erfcx erfinv exp1 exp10 exp2 expi expit exprel gamma gammaln
    gammasgn i0 i0e i1 i1e j0 j1 k0 k0e k1 k1e log_ndtr loggamma logit ndtr ndtri psi rgamma sindg sinc spence tandg y0
    y1 zetac softmax log_softmax logsumexp
""".split()
BINARY = """
    betaln binom boxcox boxcox1p chdtr chdtrc chdtri gammainc gammaincc gammaincinv gammainccinv huber inv_boxcox
    inv_boxcox1p kl_div poch pseudo_huber rel_entr stdtr xlog1py xlogy
""".split()


@pytest.mark.parametrize("name", [name for name in UNARY if hasattr(scipy.special, name)])
def test_special_functions(name):
    agree(lambda array: getattr(scipy.special, name)(array(A * 0.9)))


@pytest.mark.parametrize("name", BINARY)
def test_special_functions_of_two(name):
    agree(lambda array: getattr(scipy.special, name)(array(A), array(B)))


@pytest.mark.parametrize(
    "name",
    """
    describe skew kurtosis sem gmean hmean zscore iqr median_abs_deviation moment variation entropy jarque_bera tmean
    tvar tstd tsem tmin tmax circmean circvar circstd gzscore differential_entropy rankdata kstat lmoment gstd
    """.split(),
)
def test_statistics(name):
    def call(array):
        result = getattr(scipy.stats, name)(array(A))
        return tuple(result) if name == "describe" else result

    agree(call)


@pytest.mark.parametrize(
    ("name", "operands"),
    [
        ("pearsonr", (Z, Z[::-1].copy())), ("spearmanr", (Z, Z[::-1].copy())), ("ttest_1samp", (Z, 0.1)),
        ("ttest_ind", (Z, Y)), ("ttest_rel", (Z, Z[::-1].copy())), ("bartlett", (Z, Y)), ("levene", (Z, Y)),
        ("fligner", (Z, Y)), ("mannwhitneyu", (Z, Y)), ("kruskal", (Z, Y)), ("f_oneway", (Z, Y)), ("wilcoxon", (Z,)),
        ("alexandergovern", (Z, Y)), ("power_divergence", (A * 20,)), ("combine_pvalues", (A * 0.5,)), ("mood", (Z, Y)),
        ("ansari", (Z, Y)), ("pointbiserialr", (GUESSES[:20], A)), ("skewtest", (Z,)), ("kurtosistest", (Z,)),
        ("normaltest", (Z,)), ("zmap", (A, B)),
    ],
)  # fmt: skip
def test_statistics_of_samples(name, operands):
    agree(lambda array: getattr(scipy.stats, name)(*(array(x) if isinstance(x, np.ndarray) else x for x in operands)))


@pytest.mark.parametrize(
    "name",
    "fft ifft rfft irfft hfft ihfft fftn ifftn rfftn irfftn fft2 ifft2 rfft2 irfft2 dct idct dst idst dctn".split(),
)
def test_transforms(name):
    agree(lambda array: getattr(scipy.fft, name)(array(M)))


@pytest.mark.parametrize(
    "call",
    [
        lambda f, array: f.gaussian_filter(array(M), 1.0), lambda f, array: f.sobel(array(M)),
        lambda f, array: f.median_filter(array(M), 3), lambda f, array: f.uniform_filter(array(M), 3),
        lambda f, array: f.grey_dilation(array(M), 3), lambda f, array: f.label(array(M > 0.5)),
        lambda f, array: f.zoom(array(M), 2), lambda f, array: f.rotate(array(M), 30.0),
        lambda f, array: f.distance_transform_edt(array(M > 0.3)), lambda f, array: f.shift(array(M), 1.5),
    ],
)  # fmt: skip
def test_images(call):
    agree(lambda array: call(scipy.ndimage, array))


@pytest.mark.parametrize(
    "call",
    [
        lambda array: scipy.signal.convolve(array(Z), array(A)),
        lambda array: scipy.signal.fftconvolve(array(Z), array(A)),
        lambda array: scipy.signal.correlate(array(Z), array(A)), lambda array: scipy.signal.detrend(array(Z)),
        lambda array: scipy.signal.hilbert(array(Z)),
        lambda array: scipy.signal.lfilter(array(A[:3]), array(B[:3]), array(Z)),
        lambda array: scipy.signal.savgol_filter(array(Z), 7, 2), lambda array: scipy.signal.resample(array(Z), 20),
        lambda array: scipy.signal.medfilt(array(Z)), lambda array: scipy.signal.wiener(array(Z)),
        lambda array: scipy.signal.filtfilt(array(A[:3]), array([1.0, 0.2]), array(Z)),
        lambda array: scipy.cluster.vq.whiten(array(M)), lambda array: scipy.cluster.vq.vq(array(M), array(M[:2])),
        lambda array: scipy.cluster.hierarchy.linkage(array(A[:15])),
        lambda array: scipy.cluster.vq.kmeans(array(M), array(M[:2])),
        lambda array: scipy.integrate.trapezoid(array(Z)), lambda array: scipy.integrate.cumulative_simpson(array(Z)),
        lambda array: scipy.integrate.cumulative_trapezoid(array(Z)),
        lambda array: scipy.integrate.tanhsinh(lambda x: x * x, array(np.zeros(3)), array(np.ones(3))).integral,
        lambda array: scipy.differentiate.derivative(lambda x: x * x * x, array(A)).df,
    ],
)  # fmt: skip
def test_signals_clusters_and_integrals(call):
    agree(call)


@pytest.mark.parametrize("name", ["PchipInterpolator", "Akima1DInterpolator", "CubicSpline", "make_interp_spline"])
def test_interpolation(name):
    places = np.cumsum(A)
    between = np.linspace(places[0], places[-1], 50)
    agree(lambda array: getattr(scipy.interpolate, name)(array(places), array(Z[:20]))(array(between)))
