//! Why a camera's inputs are not recorded, in words for its status.

use protocol::event::Words;

/// What deletes the oldest recordings is gone.
pub(super) fn no_keeper() -> Words {
    Words::new(
        "không ghi dữ liệu vì phần dọn bản ghi đã dừng do lỗi chương trình; gửi nhật ký và khởi động lại hộp",
        "inputs are not recorded, because what deletes the oldest recordings has ended by a fault of this \
         program; restart the agent and report its log",
    )
}

/// What the system said when it was to be written.
pub(super) fn of(error: &std::io::Error) -> Words {
    use std::io::ErrorKind;
    let (vi, en, what_to_do) = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => (
            "đĩa đầy; hãy giải phóng đĩa hoặc giảm [record] budget",
            "the disk is full".to_owned(),
            "free disk space, or lower [record] budget",
        ),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => (
            "không có quyền ghi; hãy kiểm tra [record] dir",
            "its folder may not be written".to_owned(),
            "correct [record] dir, or let the agent's user write it",
        ),
        _ => (
            "không ghi được; hãy kiểm tra đĩa và [record] dir",
            error.to_string(),
            "check the disk and [record] dir",
        ),
    };
    Words::new(
        format!("Dữ liệu đầu vào không được ghi lại: {vi}. Camera vẫn được theo dõi"),
        format!("inputs are not recorded: {en}; {what_to_do}. Watching goes on"),
    )
}
