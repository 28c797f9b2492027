//! What is named as ONNX Runtime and is none. In a process of its own: one that has loaded a
//! library loads no other.

use std::fs;

use edge_inference::Runtime;

#[test]
fn a_file_that_is_no_library_is_an_error_and_not_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("libonnxruntime.so.1.31.1");
    fs::write(&text, "version https://git-lfs.github.com/spec/v1").unwrap();
    let message = Runtime::load(Some(&text)).unwrap_err().to_string();
    assert!(
        message.contains("cannot be loaded as ONNX Runtime") && message.contains("make setup"),
        "{message}"
    );
}
