"""The Python Array API on lazy arrays.

Every function and operator records what is to be computed. When values are needed (``compute()``, ``numpy.asarray``,
``float``, printing values), what was recorded is fused into few kernels, compiled and run. Semantics, dtypes and
promotion are NumPy's; shape, dtype and axis errors are raised by the call that makes them.

>>> import fusewire as xp
>>> x = xp.arange(6, dtype=xp.float32)
>>> y = xp.sqrt(x) + 1
>>> y
fusewire.Array(shape=(6,), dtype=float32, device=cpu, op=add, not computed)
>>> y.compute()
fusewire.Array([1.       , 2.       , 2.4142137, 2.732051 , 3.       ,
                3.236068 ], dtype=float32)
"""

import typing as _typing

import numpy as _np

from fusewire import _methods as _methods
from fusewire import debug as debug
from fusewire import fft as fft
from fusewire import linalg as linalg
from fusewire import memory as memory
from fusewire._beyond import *
from fusewire._devices import get_default_device as get_default_device
from fusewire._devices import set_default_device as set_default_device
from fusewire._fusewire import *
from fusewire._fusewire import __version__ as __version__
from fusewire._fusewire import engine as _engine
from fusewire._inspection import __array_namespace_info__ as __array_namespace_info__
from fusewire._inspection import finfo as finfo
from fusewire._inspection import iinfo as iinfo
from fusewire._inspection import isdtype as isdtype
from fusewire._threads import get_num_threads as get_num_threads
from fusewire._threads import set_num_threads as set_num_threads

__array_api_version__ = "2025.12"

e = 2.718281828459045
inf = float("inf")
nan = float("nan")
newaxis = None
pi = 3.141592653589793

_methods.install()

if _typing.TYPE_CHECKING:
    bfloat16: type[_np.generic]
else:

    def __getattr__(name: str) -> _typing.Any:
        if name != "bfloat16":
            message = f"module 'fusewire' has no attribute {name!r}"
            raise AttributeError(message)
        try:
            from ml_dtypes import bfloat16
        except ImportError as error:
            # Who asks whether there is such a dtype expects this kind of error.
            message = "fusewire.bfloat16 needs the package ml_dtypes, which is not installed: fusewire[bfloat16]"
            raise AttributeError(message) from error
        return bfloat16


# Last of all: the modules that are imported would put the compiler out of the processor's caches again.
_engine.rehearse()
