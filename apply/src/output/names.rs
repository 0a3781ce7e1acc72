//! Names of images: as Docker writes them short, and in full.

/// Whether this can be a repository with a tag, as Docker shows it: `app:1`, `host:5000/team/app:1`.
///
/// A reference name of an OCI layout need not be one.
pub fn is_tagged(name: &str) -> bool {
    let (repository, tag) = match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => return false,
    };
    let tag_char = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let repository_char = |c: char| c.is_ascii_alphanumeric() || "_.-/:".contains(c);
    !repository.is_empty()
        && !repository.starts_with(['/', ':', '-', '.'])
        && repository.chars().all(repository_char)
        && (1..=128).contains(&tag.len())
        && !tag.starts_with(['.', '-'])
        && tag.chars().all(tag_char)
}

/// The tag of a name, `latest` without one.
pub fn tag(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((_, tag)) if !tag.contains('/') => tag,
        _ => "latest",
    }
}

/// A name with a tag: `app` is `app:latest`.
pub fn with_tag(name: &str) -> String {
    match name.rsplit_once(':') {
        Some((_, tag)) if !tag.contains('/') => name.to_owned(),
        _ => format!("{name}:latest"),
    }
}

/// The name in full, as containerd has it: `docker.io/library/app:1`.
pub fn full(name: &str) -> String {
    let name = with_tag(name);
    match name.split_once('/') {
        None => format!("docker.io/library/{name}"),
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => name,
        Some(_) => format!("docker.io/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_full() {
        for (short, long) in [
            ("app", "docker.io/library/app:latest"),
            ("app:1", "docker.io/library/app:1"),
            ("team/app:1", "docker.io/team/app:1"),
            ("localhost/app:1", "localhost/app:1"),
            ("host:5000/app", "host:5000/app:latest"),
            ("quay.io/a/b:2", "quay.io/a/b:2"),
        ] {
            assert_eq!(full(short), long);
        }
        assert_eq!((tag("host:5000/app"), tag("app:1")), ("latest", "1"));
    }

    #[test]
    fn what_docker_takes_as_a_name() {
        for good in ["app:1", "host:5000/team/app:v1.2_x-y"] {
            assert!(is_tagged(good), "{good}");
        }
        for bad in ["app", "v1", "app:", ":1", "a b:1", "host:5000/app", "-x:1", "app:.1", "/a:1"] {
            assert!(!is_tagged(bad), "{bad}");
        }
    }
}
