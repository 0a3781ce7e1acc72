//! As much of manifests and indexes as fetching needs (OCI image specification 1.1, "Image Manifest" and "Image Index";
//! Docker image manifest version 2, schema 2).

use serde::Deserialize;

use crate::digest::Digest;
use crate::image::Platform;
use crate::{fail, failure};

/// Manifests in an index, and layers in a manifest, at most.
const MAX_ENTRIES: usize = 10_000;

/// Names a blob.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The media type, as the naming document says.
    #[serde(default)]
    pub media_type: Option<String>,
    /// The digest of the bytes as stored.
    pub digest: Digest,
    /// Bytes as stored.
    pub size: u64,
    #[serde(default)]
    platform: Option<Platform>,
    #[serde(default)]
    annotations: Option<Annotations>,
}

/// BuildKit's mark of an attestation manifest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Annotations {
    #[serde(rename = "vnd.docker.reference.digest", default)]
    about: Option<String>,
}

impl Descriptor {
    /// A descriptor of a document that is here.
    pub fn of(bytes: &[u8], media_type: Option<String>) -> Self {
        let (digest, size) = (Digest::of(bytes), bytes.len() as u64);
        Self { media_type, digest, size, platform: None, annotations: None }
    }

    /// The platform that it is for, if it says one.
    pub fn platform(&self) -> Option<&Platform> {
        self.platform.as_ref()
    }

    /// Whether it is a manifest about another one, not an image for a platform.
    fn is_attestation(&self) -> bool {
        self.attested().is_some() || self.platform().is_some_and(Platform::is_unknown)
    }

    fn attested(&self) -> Option<&str> {
        self.annotations.as_ref()?.about.as_deref()
    }
}

/// Which platforms of an index are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice<'a> {
    /// Nothing was said: an index of several platforms is an error.
    Unsaid,
    /// All of them.
    All,
    /// This one.
    Only(&'a Platform),
}

/// A manifest or an index.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    schema_version: u32,
    /// Its own media type, where it says one.
    #[serde(default)]
    pub media_type: Option<String>,
    /// The configuration, in a manifest.
    #[serde(default)]
    pub config: Option<Descriptor>,
    /// The layers of a manifest, bottom first.
    #[serde(default)]
    pub layers: Vec<Descriptor>,
    /// The manifests of an index.
    #[serde(default)]
    pub manifests: Option<Vec<Descriptor>>,
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// `not-an-image` if it is none, or of Docker's schema 1.
    pub fn parse(bytes: &[u8], what: &str) -> anyhow::Result<Self> {
        let document: Self = serde_json::from_slice(bytes)
            .map_err(|e| failure!(NotAnImage, "{what} is no manifest and no index: {e}"))?;
        if document.schema_version != 2 {
            let version = document.schema_version;
            fail!(NotAnImage, "{what} is a manifest of schema version {version}, not 2"; "push the image anew with a tool of today");
        }
        let entries = document.layers.len().max(document.manifests.as_ref().map_or(0, Vec::len));
        if entries > MAX_ENTRIES || (document.config.is_none() && document.manifests.is_none()) {
            fail!(NotAnImage, "{what} is neither the manifest of an image nor an index");
        }
        Ok(document)
    }

    /// The media type of a document that says none, by what it has.
    pub fn media_type(&self) -> String {
        let kind = if self.manifests.is_some() { "index" } else { "manifest" };
        self.media_type
            .clone()
            .unwrap_or_else(|| format!("application/vnd.oci.image.{kind}.v1+json"))
    }

    /// Whether its media types are the OCI's.
    pub fn is_oci(&self) -> bool {
        self.media_type().starts_with("application/vnd.oci.")
    }
}

/// The manifests of an index that are wanted: the images of the chosen platforms and what attests them.
///
/// # Errors
/// `usage` if there are several platforms and nothing was said; `not-found` if the wanted one is absent. Both list those
/// that there are.
pub fn choose<'a>(
    manifests: &'a [Descriptor],
    choice: Choice<'_>,
    what: &str,
) -> anyhow::Result<Vec<&'a Descriptor>> {
    let images: Vec<&Descriptor> = manifests.iter().filter(|m| !m.is_attestation()).collect();
    let list = || {
        let named = images.iter().map(|m| match m.platform() {
            Some(platform) => platform.to_string(),
            None => m.digest.to_string(),
        });
        named.collect::<Vec<_>>().join(", ")
    };
    let wanted = match choice {
        Choice::Only(platform) => platform,
        Choice::Unsaid if images.len() > 1 => {
            fail!(Usage, "{what} has several platforms: {}", list(); "choose one with --platform, or take all with --all-platforms")
        }
        Choice::All | Choice::Unsaid => return Ok(manifests.iter().collect()),
    };
    let chosen: Vec<&Descriptor> = images
        .iter()
        .copied()
        .filter(|m| m.platform().is_some_and(|own| wanted.accepts(own)))
        .collect();
    if chosen.is_empty() {
        fail!(NotFound, "{what} has no platform {wanted}, only {}", list());
    }
    let digests: Vec<String> = chosen.iter().map(|m| m.digest.to_string()).collect();
    let attests = |m: &Descriptor| m.attested().is_some_and(|d| digests.iter().any(|c| c == d));
    Ok(manifests.iter().filter(|m| chosen.contains(m) || attests(m)).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::failure::{Category, classify};
    use serde_json::json;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    fn entry(content: &str, platform: &str) -> serde_json::Value {
        let mut parts = platform.split('/');
        let mut platform = json!({"os": parts.next(), "architecture": parts.next()});
        if let Some(variant) = parts.next() {
            platform["variant"] = variant.into();
        }
        json!({"digest": Digest::of(content.as_bytes()), "size": 1, "platform": platform})
    }

    fn index() -> Vec<Descriptor> {
        let mut attestation = entry("attestation", "unknown/unknown");
        attestation["annotations"] = json!({"vnd.docker.reference.digest": Digest::of(b"amd64")});
        let document = json!({"schemaVersion": 2, "manifests":
            [entry("amd64", "linux/amd64"), entry("arm64", "linux/arm64/v8"), attestation]});
        let bytes = serde_json::to_vec(&document).unwrap();
        Document::parse(&bytes, "x").unwrap().manifests.unwrap()
    }

    #[test]
    fn a_platform_is_chosen_with_its_attestation() {
        let index = index();
        let digests = |choice| -> Vec<Digest> {
            choose(&index, choice, "x").unwrap().iter().map(|m| m.digest).collect()
        };
        let [amd64, arm64, att] = [&b"amd64"[..], b"arm64", b"attestation"].map(Digest::of);
        let wanted = ["linux/amd64", "linux/arm64"].map(platform);
        assert_eq!(digests(Choice::Only(&wanted[0])), [amd64, att]);
        assert_eq!(digests(Choice::Only(&wanted[1])), [arm64]);
        assert_eq!(digests(Choice::All), [amd64, arm64, att]);
    }

    #[test]
    fn several_platforms_are_listed() {
        let index = index();
        let failure = |choice| classify(&choose(&index, choice, "x").unwrap_err());
        let unsaid = failure(Choice::Unsaid);
        assert_eq!(unsaid.message, "x has several platforms: linux/amd64, linux/arm64/v8");
        assert_eq!(unsaid.category.exit(), 3);
        let absent = failure(Choice::Only(&platform("linux/s390x")));
        assert_eq!(absent.category, Category::NotFound);
        assert_eq!(
            absent.message,
            "x has no platform linux/s390x, only linux/amd64, linux/arm64/v8"
        );
        assert!(choose(&index[..1], Choice::Unsaid, "x").is_ok());
        assert!(choose(&index[1..], Choice::Unsaid, "x").is_ok());
    }

    #[test]
    fn other_documents_are_refused() {
        for bad in [
            r#"{"schemaVersion":1}"#,
            r#"{"schemaVersion":2}"#,
            "[]",
            "",
            r#"{"schemaVersion":2,"manifests":[{}]}"#,
        ] {
            let error = Document::parse(bad.as_bytes(), "x").unwrap_err();
            assert_eq!(classify(&error).category, Category::NotAnImage, "{bad}");
        }
    }
}
