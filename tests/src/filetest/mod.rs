//! Filetests: files with IR text, what to do with it and what must come of it. This is the file format and its checks;
//! what a test can do is the table in `kinds.rs`.
//!
//! ```text
//! ; test: pass simplify            the kind of test, with its arguments; always the first line
//! ; m = 4                          a setting: the value of a symbol, or the elements of an input or parameter
//! ; Any other comment is prose.
//! graph @f(%a0: f32[m]) -> f32[m] { ... }
//! ; check: multiply                stands in the output, after what the check before it found
//! ; not: pow                       stands nowhere in the output
//! ; count 2: multiply              stands there so often
//! ; expect:                        the rest of the file is the whole output; `BLESS=1` rewrites it
//! ; graph @f( ...
//! ```

pub mod emulated;
pub mod kernels;
pub mod kinds;
pub mod values;

use kinds::{KINDS, Kind};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A test file, taken apart.
#[derive(Clone, Debug)]
pub struct Case<'f> {
    /// The whole file. Every text form takes `;` comments, so it parses, and errors have the file's line numbers.
    pub text: &'f str,
    /// The file without comment lines.
    pub body: String,
    /// What follows the kind's name in the first line.
    pub arguments: Vec<&'f str>,
    /// Settings, in order: name and value.
    pub settings: Vec<(&'f str, &'f str)>,
    kind: &'static Kind,
    checks: Vec<Check<'f>>,
    expected: Option<String>,
}

#[derive(Clone, Copy, Debug)]
enum Check<'f> {
    Present(&'f str),
    Absent(&'f str),
    Count(usize, &'f str),
}

/// Every `.ir` file below a folder, sorted.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "ir") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Runs a file. With `bless`, its `expect:` block is rewritten to what came out.
pub fn run(path: &Path, bless: bool) -> Result<(), String> {
    let text = fs::read_to_string(path).map_err(|e| e.to_string())?;
    let case = Case::parse(&text)?;
    if let Some(print) = case.kind.reprint {
        let once = print(&text)?;
        let twice = print(&once).map_err(|e| format!("what was printed does not parse: {e}\n{once}"))?;
        if once != twice {
            return Err(format!("printed text changes when it is parsed and printed again:\n{once}\n{twice}"));
        }
    }
    let output = (case.kind.run)(&case)?;
    case.check(&output)?;
    let needs_block = case.expected.is_some() || case.checks.is_empty() && !case.kind.decides;
    match &case.expected {
        Some(expected) if *expected == output => Ok(()),
        _ if bless && needs_block => fs::write(path, blessed(&text, &output)).map_err(|e| e.to_string()),
        Some(expected) => Err(format!("expected:\n{expected}\nfound:\n{output}")),
        None if needs_block => Err("the file checks nothing".to_owned()),
        None => Ok(()),
    }
}

impl<'f> Case<'f> {
    fn parse(text: &'f str) -> Result<Case<'f>, String> {
        let mut lines = text.lines();
        let header = lines.next().and_then(|l| l.strip_prefix("; test: "));
        let mut words = header.ok_or("the first line is not `; test: KIND`")?.split_whitespace();
        let name = words.next().unwrap_or_default();
        let kind = KINDS.iter().find(|k| k.name == name).ok_or_else(|| format!("there is no kind of test `{name}`"))?;
        let mut case = Case {
            text,
            body: String::new(),
            arguments: words.collect(),
            settings: Vec::new(),
            kind,
            checks: Vec::new(),
            expected: None,
        };
        while let Some(line) = lines.next() {
            let Some(comment) = line.strip_prefix(';').map(str::trim) else {
                case.body.push_str(line);
                case.body.push('\n');
                continue;
            };
            if comment == "expect:" {
                let uncommented = |l: &str| {
                    let rest = l.strip_prefix(';').ok_or("a line after `expect:` is not a comment")?;
                    Ok(rest.strip_prefix(' ').unwrap_or(rest).to_owned() + "\n")
                };
                case.expected = Some(lines.map(uncommented).collect::<Result<String, String>>()?);
                break;
            }
            case.directive(comment)?;
        }
        Ok(case)
    }

    fn directive(&mut self, comment: &'f str) -> Result<(), String> {
        if let Some((name, value)) = comment.split_once(" = ")
            && !name.contains([' ', ':'])
        {
            self.settings.push((name, value));
            return Ok(());
        }
        let Some((word, rest)) = comment.split_once(':') else { return Ok(()) };
        let rest = rest.trim();
        match word.split_once(' ') {
            None if word == "check" => self.checks.push(Check::Present(rest)),
            None if word == "not" => self.checks.push(Check::Absent(rest)),
            Some(("count", count)) => {
                let count = count.parse().map_err(|_| format!("`{count}` is not a count"))?;
                self.checks.push(Check::Count(count, rest));
            }
            // A misspelt directive must not become prose.
            None => return Err(format!("there is no directive `{word}:`")),
            Some(_) => {}
        }
        Ok(())
    }

    fn check(&self, output: &str) -> Result<(), String> {
        let mut after = 0;
        for check in &self.checks {
            let complaint = match *check {
                Check::Present(wanted) => match output[after..].find(wanted) {
                    Some(at) => {
                        after += at + wanted.len();
                        continue;
                    }
                    None if after > 0 => format!("`{wanted}` does not stand after the check before it"),
                    None => format!("`{wanted}` is missing"),
                },
                Check::Absent(unwanted) if !output.contains(unwanted) => continue,
                Check::Absent(unwanted) => format!("`{unwanted}` should be absent"),
                Check::Count(count, wanted) => match output.matches(wanted).count() {
                    found if found == count => continue,
                    found => format!("`{wanted}` stands there {found} times, not {count}"),
                },
            };
            return Err(format!("{complaint}, in:\n{output}"));
        }
        Ok(())
    }
}

/// The file with this output as its `expect:` block.
fn blessed(text: &str, output: &str) -> String {
    let mut blessed = String::new();
    for line in text.lines().take_while(|l| l.trim_end() != "; expect:") {
        blessed.push_str(line);
        blessed.push('\n');
    }
    blessed.push_str("; expect:\n");
    for line in output.lines() {
        blessed.push_str(format!("; {line}").trim_end());
        blessed.push('\n');
    }
    blessed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_directive_is_an_error() {
        assert!(Case::parse("; test: round-trip\n; chek: x\n").unwrap_err().contains("chek"));
        assert!(Case::parse("; test: nonsense\n").unwrap_err().contains("nonsense"));
        assert!(Case::parse("; Note that this: is prose\n").unwrap_err().contains("first line"));
    }

    #[test]
    fn checks_are_in_order_and_counted() {
        let check = |directives: &str, output: &str| {
            Case::parse(&format!("; test: round-trip\n{directives}")).unwrap().check(output)
        };
        assert!(check("; check: a\n; check: b\n", "a b").is_ok());
        assert!(check("; check: b\n; check: a\n", "a b").unwrap_err().contains("after"));
        assert!(check("; not: b\n", "a b").is_err());
        assert!(check("; count 2: a\n", "a b a").is_ok());
        assert!(check("; count 1: a\n", "a b a").unwrap_err().contains("2 times"));
    }

    #[test]
    fn blessing_rewrites_only_the_block() {
        assert_eq!(
            blessed("; test: x\nbody\n; expect:\n; old\n", "new\n\nline\n"),
            "; test: x\nbody\n; expect:\n; new\n;\n; line\n"
        );
    }
}
