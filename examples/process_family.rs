//! What becomes of children: a daemon ends with its parent, however that ends; any other child is waited
//! for when its parent exits, and lives on when it is killed.
//!
//! `cargo run --example process_family`

use shmkit::{Event, Process, Value, parent_process};

/// A parent that tells the pids of its children, and exits or waits to be killed.
fn parent(pids: [Value<u32>; 2], ready: Event, go: Event, is_killed: bool) {
    let daemon = Process::builder().daemon(true).spawn((), sleep).unwrap();
    let child = Process::spawn((go,), child).unwrap();
    pids[0].set(daemon.pid()).unwrap();
    pids[1].set(child.pid()).unwrap();
    ready.set();
    if is_killed {
        sleep();
    }
    println!("the parent has come to its end");
}

fn child(go: Event) {
    go.wait();
    let has_parent = parent_process().is_some_and(|parent| parent.is_alive());
    println!("the child ends, its parent lives: {has_parent}");
}

fn sleep() {
    loop {
        std::thread::park();
    }
}

fn is_there(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

fn wait_until_gone(pid: u32) {
    while is_there(pid) {
        std::thread::yield_now();
    }
}

fn main() -> shmkit::Result<()> {
    for is_killed in [false, true] {
        let pids = [Value::new(0)?, Value::new(0)?];
        let (ready, go) = (Event::new()?, Event::new()?);
        let arguments = (pids.clone(), ready.clone(), go.clone(), is_killed);
        let process = Process::spawn(arguments, parent)?;
        ready.wait();
        let [daemon, child] = pids.map(|pid| pid.get());
        if is_killed {
            process.kill()?;
            println!("parent killed: {}", process.join().unwrap_err());
            wait_until_gone(daemon);
            println!("its daemon is gone, its child is there: {}", is_there(child));
            go.set();
            wait_until_gone(child);
        } else {
            wait_until_gone(daemon); // ended by its parent, which now waits for the child
            println!("the parent waits: {}", process.is_alive());
            go.set();
            process.join()?;
            println!("parent exited: {:?}", process.exitcode());
        }
    }
    Ok(())
}
