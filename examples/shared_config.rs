//! A configuration that three processes watch and change, without a server: a namespace for the
//! values, and a condition that tells of changes.

use shmkit::{Manager, Process, Result};

/// Waits for each new limit, and changes what it is asked to.
fn service(manager: Manager, me: u32) -> Result<u64> {
    let config = manager.namespace("config")?;
    let (lock, changed) = (manager.lock("watch")?, manager.condition("changed")?);
    let mut seen = 0;
    loop {
        let mut guard = lock.lock()?;
        while config.get::<u64>("version")? == seen {
            guard = changed.wait(guard)?;
        }
        seen = config.get("version")?;
        drop(guard);
        if config.get::<Option<u32>>("turn")? == Some(me) {
            change(&manager, |config| {
                config.update("served", |served: &mut Vec<String>| {
                    served.push(format!("service {me}"))
                })?;
                config.set("turn", (me < 3).then_some(me + 1))
            })?;
        }
        if config.get::<Vec<String>>("served")?.len() == 3 {
            return config.get("limit");
        }
    }
}

/// Changes the configuration and tells everybody.
fn change(manager: &Manager, f: impl FnOnce(&shmkit::Namespace) -> Result<()>) -> Result<()> {
    let config = manager.namespace("config")?;
    let (lock, changed) = (manager.lock("watch")?, manager.condition("changed")?);
    let _guard = lock.lock()?;
    f(&config)?;
    config.update("version", |version: &mut u64| *version += 1)?;
    changed.notify_all();
    Ok(())
}

fn main() -> Result<()> {
    let manager = Manager::new()?;
    let config = manager.namespace("config")?;
    config.set("version", 0u64)?;
    config.set("limit", 10u64)?;
    config.set("served", Vec::<String>::new())?;
    config.set("turn", None::<u32>)?;
    let services: Vec<_> = (1..=3)
        .map(|me| {
            Process::spawn((manager.clone(), me), |manager, me| service(manager, me).unwrap())
        })
        .collect::<Result<_>>()?;
    change(&manager, |config| {
        config.update("limit", |limit: &mut u64| *limit *= 2)?;
        config.set("turn", Some(1u32))
    })?;
    for service in services {
        println!("limit {}", service.join()?);
    }
    println!("{}", config.get::<Vec<String>>("served")?.join(", "));
    Ok(())
}
