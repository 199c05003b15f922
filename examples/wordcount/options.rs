//! The command line.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

pub const HELP: &str = "\
Counts the words of every text file under the paths, in several processes.

usage: wordcount [PATH..] [--workers N] [--top N] [--check] [--kill-one]

  PATH..       files and directories; by default the package around the current
               directory, without what git and cargo keep there
  --workers N  worker processes (default: one per processor)
  --top N      how many of the most frequent words to print (default: 10)
  --check      compare with a plain count in one process, word by word;
               the exit status is 1 when they differ
  --kill-one   kill a worker half way, to see that the totals are right all the same
  --help       print this

A word is a run of ASCII letters, digits and bytes from 0x80 up; letters are lowered.
";

#[derive(Debug, PartialEq)]
pub struct Options {
    pub paths: Vec<PathBuf>,
    /// Leave out what tools can make again: nobody named these paths.
    pub skip_caches: bool,
    pub workers: usize,
    pub top: usize,
    pub check: bool,
    pub kill_one: bool,
}

/// What the command line asks for.
#[derive(Debug, PartialEq)]
pub enum Request {
    Count(Options),
    Help,
}

impl Request {
    /// Understands the arguments; the error is a sentence for the user.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Request, String> {
        let mut options = Options {
            paths: Vec::new(),
            skip_caches: false,
            workers: thread::available_parallelism().map_or(1, usize::from),
            top: 10,
            check: false,
            kill_one: false,
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some("--help" | "-h") => return Ok(Request::Help),
                Some("--check") => options.check = true,
                Some("--kill-one") => options.kill_one = true,
                Some("--workers") => options.workers = number("--workers", 1, arguments.next())?,
                Some("--top") => options.top = number("--top", 0, arguments.next())?,
                Some("--") => options.paths.extend(arguments.by_ref().map(PathBuf::from)),
                Some(unknown) if unknown.starts_with("--") => {
                    return Err(format!("unknown option {unknown}"));
                }
                _ => options.paths.push(argument.into()),
            }
        }
        for path in &options.paths {
            fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        if options.paths.is_empty() {
            options.paths.push(package_root());
            options.skip_caches = true;
        }
        Ok(Request::Count(options))
    }
}

fn number(option: &str, least: usize, value: Option<OsString>) -> Result<usize, String> {
    let value = value.and_then(|value| value.to_str()?.parse().ok());
    value
        .filter(|&number| number >= least)
        .ok_or(format!("{option} wants a number from {least} on"))
}

/// The nearest directory upwards from here with a `Cargo.toml`, or the current one.
fn package_root() -> PathBuf {
    let here = env::current_dir().unwrap_or_default();
    let root = here.ancestors().find(|directory| directory.join("Cargo.toml").is_file());
    match root {
        Some(root) if root != here => root.to_path_buf(),
        _ => Path::new(".").to_path_buf(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Request, String> {
        Request::parse(arguments.iter().map(OsString::from))
    }

    #[test]
    fn options_and_paths_mix() {
        let request = parse(&["--top", "3", "src", "--check", "--workers", "5", "--", "src"]);
        let Ok(Request::Count(options)) = request else { panic!("{request:?}") };
        assert_eq!((options.top, options.workers), (3, 5));
        assert!(options.check && !options.kill_one && !options.skip_caches);
        assert_eq!(options.paths, ["src", "src"].map(PathBuf::from));
    }

    #[test]
    fn mistakes_are_named() {
        for mistake in [&["--tpo"][..], &["--top"], &["--top", "many"], &["--workers", "0"]] {
            assert!(parse(mistake).unwrap_err().contains(mistake[0]));
        }
        assert!(parse(&["no/such/path"]).unwrap_err().contains("no/such/path"));
    }
}
