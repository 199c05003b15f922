//! A bank whose clerks are processes. One of them is killed with money in its hands, and not a penny
//! is lost.
//!
//! `cargo run --example bank`

use shmkit::{LockError, Pipe, Process, Result, Sender, Value};

/// One value, not one for each account: what belongs together is published together.
type Bank = Value<[i64; 10]>;

fn transfer(bank: &Bank, from: usize, to: usize, amount: i64) -> Result<(), LockError<()>> {
    bank.update(|accounts| {
        if accounts[from] >= amount {
            accounts[from] -= amount;
            accounts[to] += amount;
        }
    })
}

fn clerk(bank: Bank, id: usize) -> u32 {
    let mut colleagues_lost = 0;
    for n in 0..10_000 {
        let (from, to, amount) = ((n * 7 + id) % 10, (n * 3 + 1) % 10, n as i64 % 100);
        // Whoever comes after a death is told once. The accounts are as before; try again.
        while let Err(LockError::OwnerDied(_)) = transfer(&bank, from, to, amount) {
            colleagues_lost += 1;
        }
    }
    colleagues_lost
}

fn clerk_who_dies(bank: Bank, ready: Sender<()>) {
    let _ = bank.update(|accounts| {
        accounts[3] -= 500;
        ready.send(()).unwrap();
        loop {
            std::thread::park(); // with 500 in its hands
        }
    });
}

fn main() -> Result<()> {
    let bank = Bank::new([1000; 10])?;
    let (ready, say) = Pipe::simplex()?;
    let victim = Process::spawn((bank.clone(), say), clerk_who_dies)?;
    ready.recv()?;
    let spawn = |id| Process::spawn((bank.clone(), id), clerk);
    let clerks = (0..3).map(spawn).collect::<Result<Vec<_>>>()?;
    victim.kill()?;
    println!("one clerk is gone: {}", victim.join().unwrap_err());

    let mut told = 0;
    for clerk in clerks {
        told += clerk.join()?;
    }
    println!("told {told} time(s) of a death");
    println!("accounts: {:?}", bank.get());
    println!("sum: {}", bank.get().iter().sum::<i64>());
    Ok(())
}
