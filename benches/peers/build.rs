//! Builds the queues of Boost, if it is installed; its benches are left out otherwise.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=src/boost.cpp");
    println!("cargo:rustc-check-cfg=cfg(boost)");
    let out = std::env::var("OUT_DIR").unwrap_or_default();
    let (object, library) =
        (Path::new(&out).join("boost.o"), Path::new(&out).join("libboost_peers.a"));
    let compiled = Command::new("c++")
        .args(["-std=c++17", "-O3", "-DNDEBUG", "-c", "src/boost.cpp", "-o"])
        .arg(&object)
        .output()
        .is_ok_and(|output| output.status.success());
    let packed = || Command::new("ar").arg("crs").args([&library, &object]).status();
    if compiled && packed().is_ok_and(|status| status.success()) {
        println!("cargo:rustc-cfg=boost");
        println!("cargo:rustc-link-search=native={out}");
        println!("cargo:rustc-link-lib=static=boost_peers");
        println!("cargo:rustc-link-lib=stdc++");
    } else {
        println!("cargo:warning=Boost is not installed (libboost-dev): its queues are left out");
    }
}
