//! A string that processes share: an array of bytes, of which the text ends at the first NUL.
//!
//! `cargo run --example shared_string`

use shmkit::{Array, Process, Result};

fn rename(name: Array<u8>, new: String) {
    name.set_value(new.as_bytes()).unwrap();
}

fn main() -> Result<()> {
    let name = Array::<u8>::zeroed(8)?; // room for eight bytes, however short the text
    for new in ["somebody", "zty"] {
        Process::spawn((name.clone(), new.to_string()), rename)?.join()?;
        println!("value: {}", String::from_utf8_lossy(&name.value()?));
        println!("raw:   {}", name.raw()?.escape_ascii());
    }
    println!("too long: {}", name.set_value(b"somebody else").unwrap_err());
    println!("value: {}", String::from_utf8_lossy(&name.value()?));
    Ok(())
}
