//! NVIDIA's libraries: where they are, and which package has one that is missing.
//!
//! The loader's own places come first, then the packages that `pip` installs (`nvidia/*/lib` below a folder of Python's path),
//! which the front end names with [`search_in`]. A library that was loaded once by its path is found by its name from then on.

use fusewire_runtime::error::Error;
use libloading::Library;
use parking_lot::Mutex;
use std::{fs, path::PathBuf};

/// A library of NVIDIA's.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    /// What the file is called, without `lib` and what comes behind.
    pub name: &'static str,
    /// The versions behind `.so.`, the newest first, each with the package that has it.
    pub versions: &'static [(&'static str, &'static str)],
    /// What needs it.
    pub purpose: &'static str,
    /// Does the loader find it by its name?
    pub present: unsafe fn() -> bool,
    /// The library that is found by its name.
    pub library: unsafe fn() -> &'static Library,
    /// Of the functions that are called, the one that came last.
    pub newest: &'static str,
}

/// Folders of Python's path.
static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
/// Loaded libraries stay.
static LOADED: Mutex<Vec<Library>> = Mutex::new(Vec::new());

/// Looks for libraries in the packages below these folders, too.
pub fn search_in(folders: Vec<PathBuf>) {
    *FOLDERS.lock() = folders;
}

impl Wanted {
    /// Loads the library, or says which package to install.
    pub fn load(self) -> Result<(), Error> {
        let mut loaded = LOADED.lock();
        // SAFETY: looks for a library, and loads it to see whether it can be; NVIDIA's do nothing but register themselves.
        if unsafe { (self.present)() } {
            return self.new_enough();
        }
        for path in self.places(&FOLDERS.lock()) {
            // SAFETY: as above.
            if let Ok(library) = unsafe { Library::new(&path) } {
                loaded.push(library);
            }
            // SAFETY: as above.
            if unsafe { (self.present)() } {
                return self.new_enough();
            }
        }
        Err(self.missing("which is not installed"))
    }

    /// Has the library all functions that are called?
    fn new_enough(self) -> Result<(), Error> {
        // SAFETY: the library is there; a name is looked for.
        let found = unsafe { (self.library)().get::<unsafe extern "C" fn()>(self.newest.as_bytes()).is_ok() };
        if found { Ok(()) } else { Err(self.missing(&format!("and the one that is found has no {}", self.newest))) }
    }

    fn missing(self, why: &str) -> Error {
        let packages: Vec<&str> = self.versions.iter().map(|&(_, package)| package).collect();
        Error::Unsupported(format!(
            "{} needs NVIDIA's library lib{}.so, {why}: pip install {}",
            self.purpose,
            self.name,
            packages.join(" (or ") + &")".repeat(packages.len() - 1)
        ))
    }

    /// Where it is in packages below these folders.
    fn places(self, folders: &[PathBuf]) -> Vec<PathBuf> {
        let mut libraries: Vec<PathBuf> = Vec::new();
        for folder in folders {
            let Ok(packages) = fs::read_dir(folder.join("nvidia")) else { continue };
            let mut packages: Vec<PathBuf> = packages.flatten().map(|package| package.path().join("lib")).collect();
            packages.sort();
            libraries.extend(packages);
        }
        let files = self.versions.iter().flat_map(|(version, _)| {
            let file = format!("lib{}.so.{version}", self.name);
            libraries.iter().map(move |folder| folder.join(&file))
        });
        files.filter(|file| file.exists()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABSENT: Wanted = Wanted {
        name: "absent",
        versions: &[("13", "nvidia-absent"), ("12", "nvidia-absent-cu12")],
        purpose: "a test",
        present: || false,
        library: || unreachable!("it is absent"),
        newest: "none",
    };

    #[test]
    fn libraries_are_found_in_packages_the_newest_first() {
        let root = std::env::temp_dir().join(format!("fusewire-libraries-{}", std::process::id()));
        for (package, version) in [("cu13", "13"), ("absent", "12"), ("absent", "11")] {
            let folder = root.join("nvidia").join(package).join("lib");
            fs::create_dir_all(&folder).expect("a folder can be made");
            fs::write(folder.join(format!("libabsent.so.{version}")), "no library").expect("a file can be written");
        }
        let found = ABSENT.places(&[root.join("nowhere"), root.clone()]);
        let names: Vec<String> =
            found.iter().map(|path| path.strip_prefix(&root).expect("below it").display().to_string()).collect();
        assert_eq!(names, ["nvidia/cu13/lib/libabsent.so.13", "nvidia/absent/lib/libabsent.so.12"]);
        fs::remove_dir_all(&root).expect("the folder can be removed");
    }

    #[test]
    fn what_is_missing_is_said_with_its_package() {
        let Err(Error::Unsupported(message)) = ABSENT.load() else { panic!("there is no such library") };
        let expected = "a test needs NVIDIA's library libabsent.so, which is not installed: pip install nvidia-absent (or \
                        nvidia-absent-cu12)";
        assert_eq!(message, expected);
    }
}
