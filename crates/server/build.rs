//! The dashboard is read when the crate is compiled: new files of it have to be noticed.

fn main() {
    println!("cargo:rerun-if-changed=dashboard/dist");
}
