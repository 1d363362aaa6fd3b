//! Tells cargo what the macros read while they compile: without it a new migration or new query data would go unnoticed.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=.sqlx");
}
