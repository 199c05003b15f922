//! The test list of a program with a `main` of its own: it takes the arguments of any test binary.

use std::process::ExitCode;
use std::time::Instant;

/// One line of the test list.
pub struct Test {
    /// As `--list` shows it.
    pub name: String,
    /// What to say of a success, or the failures.
    pub run: Box<dyn Fn() -> Result<String, Vec<String>>>,
}

/// Runs those of `tests` that the command line names, one after the other, in this thread.
pub fn run(tests: Vec<Test>) -> ExitCode {
    let arguments = Arguments::parse(std::env::args().skip(1));
    let (chosen, other): (Vec<Test>, Vec<Test>) =
        tests.into_iter().partition(|test| arguments.choose(&test.name));
    if arguments.list {
        for test in &chosen {
            println!("{}: test", test.name);
        }
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", chosen.len());
    let started = Instant::now();
    let mut failed = Vec::new();
    for test in &chosen {
        let began = Instant::now();
        match (test.run)() {
            Ok(summary) => {
                let seconds = began.elapsed().as_secs_f64();
                println!("{}: {summary}, {seconds:.1} s\ntest {} ... ok", test.name, test.name);
            }
            Err(failures) => {
                println!("test {} ... FAILED", test.name);
                failed.push((&test.name, failures));
            }
        }
    }
    for (name, failures) in &failed {
        println!("\n---- {name} ----\n{}", failures.join("\n"));
    }
    println!(
        "\ntest result: {}. {} passed; {} failed; 0 ignored; 0 measured; {} filtered out; \
         finished in {:.2}s\n",
        if failed.is_empty() { "ok" } else { "FAILED" },
        chosen.len() - failed.len(),
        failed.len(),
        other.len(),
        started.elapsed().as_secs_f64()
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(101) }
}

/// What of libtest's command line applies here.
#[derive(Default)]
struct Arguments {
    filters: Vec<String>,
    skips: Vec<String>,
    exact: bool,
    list: bool,
    ignored_only: bool,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Arguments {
        let mut arguments = Arguments::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--exact" => arguments.exact = true,
                "--list" => arguments.list = true,
                "--ignored" => arguments.ignored_only = true,
                "--skip" => arguments.skips.extend(words.next()),
                "--test-threads" | "--format" | "--color" | "--logfile" | "-Z" => {
                    words.next();
                }
                flag if flag.starts_with('-') => {}
                _ => arguments.filters.push(word),
            }
        }
        arguments
    }

    fn choose(&self, name: &str) -> bool {
        let meets =
            |filter: &String| if self.exact { name == filter } else { name.contains(filter) };
        !self.ignored_only
            && (self.filters.is_empty() || self.filters.iter().any(meets))
            && !self.skips.iter().any(meets)
    }
}
