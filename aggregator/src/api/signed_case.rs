//! The signed case of an alert, as it is stored.

use bytes::Bytes;
use case_bundle::manifest::CaseManifest;
use futures_util::StreamExt;
use protocol::Digest;

use super::Api;
use super::problem::Problem;
use crate::case::{self, CaseError, Newest};
use crate::store::AlertDetail;

/// The signed case of an alert, read and as it is stored, or why there is none.
pub(super) async fn signed_case(
    api: &Api,
    detail: &AlertDetail,
) -> Result<Result<(CaseManifest, Bytes), CaseError>, Problem> {
    let mut newest = Newest::of(detail.row.id);
    for digest in case::candidates(&detail.evidence) {
        newest.add(whole(api, digest).await?);
    }
    Ok(newest.found(&detail.evidence))
}

async fn whole(api: &Api, digest: Digest) -> Result<Bytes, Problem> {
    let stored = api.evidence.get(digest, None).await?;
    let mut stored = stored.ok_or_else(|| refused(&CaseError::NoFile(digest)))?;
    let mut bytes = Vec::new();
    while let Some(piece) = stored.next().await {
        bytes.extend_from_slice(&piece.map_err(crate::evidence::EvidenceError::from)?);
    }
    Ok(bytes.into())
}

pub(super) fn refused(error: &CaseError) -> Problem {
    Problem::not_found(error.to_string())
}
