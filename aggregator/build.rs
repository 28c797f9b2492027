//! Makes sure that there is a screen to embed.
//!
//! The operator's screen is built by `make web` into `web/dist`, which is not
//! under version control. Where it was not built, the program still compiles
//! and serves a page that says what to do.

use std::path::Path;
use std::{env, fs, io};

const NOT_BUILT: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<title>Ngã Tư</title>
<h1>Ngã Tư</h1>
<p lang=\"vi\">Giao diện chưa được biên dịch. Hãy chạy <code>make web</code>, rồi biên dịch lại chương trình.</p>
<p>The operator's screen was not built. Run <code>make web</code>, then build the program again.</p>
<p><a href=\"/api/openapi.json\">API</a></p>
</html>
";

fn main() -> io::Result<()> {
    let root = env::var_os("CARGO_MANIFEST_DIR")
        .ok_or_else(|| io::Error::other("CARGO_MANIFEST_DIR is not set; build with cargo"))?;
    let dist = Path::new(&root).join("web/dist");
    let page = dist.join("index.html");
    if !page.exists() {
        fs::create_dir_all(&dist)?;
        fs::write(&page, NOT_BUILT)?;
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=web/dist");
    Ok(())
}
