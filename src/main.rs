fn main() {
    println!("signpost");
}
