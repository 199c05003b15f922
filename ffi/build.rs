//! The name under which programs find the shared library at run time carries the number of its ABI.

fn main() {
    const SOURCE: &str = "src/version.rs";
    println!("cargo:rerun-if-changed={SOURCE}");
    println!("cargo:rerun-if-changed=build.rs");
    let text = std::fs::read_to_string(SOURCE).expect("the source is beside build.rs");
    let abi = text
        .split_once("SHMKIT_ABI_VERSION: u32 = ")
        .and_then(|(_, rest)| rest.split_once(';'))
        .map(|(number, _)| number)
        .expect("version.rs says the number of the ABI");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libshmkit.so.{abi}");
}
