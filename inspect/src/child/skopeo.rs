//! skopeo: how its commands are put together, and the options that are handed on to it.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::Helper;
use crate::image::Platform;
use crate::store::Store;

/// A value that is handed on and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    /// The whole, and a password after a user's name: what must not be quoted.
    pub(super) fn parts(&self) -> impl Iterator<Item = &str> {
        let password = self.0.split_once(':').map(|(_, password)| password);
        [Some(self.0.as_str()), password].into_iter().flatten().filter(|part| !part.is_empty())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

/// Options for images in registries and in other places that skopeo reads and writes: handed on as they are, never
/// looked into.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Registry options, handed to skopeo")]
pub struct RegistryOptions {
    /// File with credentials for registries
    #[arg(long, value_name = "FILE")]
    pub authfile: Option<PathBuf>,
    /// Credentials for the registry
    #[arg(long, value_name = "USER[:PASSWORD]", conflicts_with = "no_creds")]
    pub creds: Option<Secret>,
    /// Use no credentials
    #[arg(long)]
    pub no_creds: bool,
    /// Bearer token for the registry
    #[arg(long, value_name = "TOKEN")]
    pub registry_token: Option<Secret>,
    /// Require HTTPS and check certificates [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub tls_verify: Option<bool>,
    /// Directory with certificates and keys for the registry
    #[arg(long, value_name = "DIR")]
    pub cert_dir: Option<PathBuf>,
    /// Try again this many times
    #[arg(long, value_name = "N")]
    pub retry_times: Option<u32>,
    /// Signature policy file
    #[arg(long, value_name = "FILE", conflicts_with = "insecure_policy")]
    pub policy: Option<PathBuf>,
    /// Check no signature policy
    #[arg(long)]
    pub insecure_policy: bool,
    /// Configuration of registries and mirrors
    #[arg(long, value_name = "FILE")]
    pub registries_conf: Option<PathBuf>,
    /// Directory with configurations of signature storage
    #[arg(long = "registries.d", value_name = "DIR")]
    pub registries_d: Option<PathBuf>,
}

/// Whose access a command's options describe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The image that `skopeo inspect` looks at.
    Inspected,
    /// The source of `skopeo copy`.
    Source,
    /// The destination of `skopeo copy`.
    Destination,
}

impl Side {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Inspected => "--",
            Self::Source => "--src-",
            Self::Destination => "--dest-",
        }
    }
}

/// Runs skopeo with the user's options.
#[derive(Debug, Clone, Copy)]
pub struct Skopeo<'a> {
    /// The user's options.
    pub options: &'a RegistryOptions,
    /// The store that its temporary files lie in.
    pub store: &'a Store,
    /// What it is needed for: `to read images from registries`.
    pub purpose: &'a str,
}

impl Skopeo<'_> {
    /// `skopeo COMMAND` with the options that fit: those of access, for one side, and those of policy.
    ///
    /// # Errors
    /// The temporary directory cannot be made.
    pub fn command(&self, command: &str, side: Side) -> anyhow::Result<Helper> {
        let helper = Helper::new("skopeo", self.purpose, self.store)?;
        let tmpdir = flag("--tmpdir", helper.directory());
        let mut helper = helper.arg(tmpdir).args(self.global()).arg(command);
        helper = helper.args(self.access(side));
        for (name, secret) in
            [("creds", &self.options.creds), ("registry-token", &self.options.registry_token)]
        {
            if let Some(secret) = secret {
                helper = helper.secret_arg(&format!("{}{name}", side.prefix()), secret);
            }
        }
        Ok(helper)
    }

    /// As [`Skopeo::command`], choosing a platform where the source is an index.
    ///
    /// # Errors
    /// As [`Skopeo::command`].
    pub fn command_for(
        &self,
        platform: &Platform,
        command: &str,
        side: Side,
    ) -> anyhow::Result<Helper> {
        let mut helper = self.command(command, side)?;
        let Platform { os, architecture, variant } = platform;
        // Global options may stand after the command as well.
        for (flag, value) in [("os", os), ("arch", architecture), ("variant", variant)] {
            if !value.is_empty() {
                helper = helper.arg(format!("--override-{flag}={value}"));
            }
        }
        Ok(helper)
    }

    /// Options that stand before the command.
    fn global(&self) -> Vec<OsString> {
        let options = self.options;
        let mut args = Vec::new();
        args.extend(options.policy.iter().map(|path| flag("--policy", path)));
        args.extend(options.insecure_policy.then(|| "--insecure-policy".into()));
        args.extend(options.registries_conf.iter().map(|path| flag("--registries-conf", path)));
        args.extend(options.registries_d.iter().map(|path| flag("--registries.d", path)));
        args
    }

    /// Options of access that are no secrets.
    fn access(&self, side: Side) -> Vec<OsString> {
        let (options, prefix) = (self.options, side.prefix());
        let mut args = Vec::new();
        args.extend(options.authfile.iter().map(|path| flag(&format!("{prefix}authfile"), path)));
        args.extend(options.no_creds.then(|| format!("{prefix}no-creds").into()));
        args.extend(options.tls_verify.map(|v| format!("{prefix}tls-verify={v}").into()));
        args.extend(options.cert_dir.iter().map(|path| flag(&format!("{prefix}cert-dir"), path)));
        args.extend(options.retry_times.map(|n| format!("--retry-times={n}").into()));
        args
    }
}

fn flag(name: &str, value: &Path) -> OsString {
    let mut flag = OsString::from(name);
    flag.push("=");
    flag.push(value);
    flag
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        registry: RegistryOptions,
    }

    fn parse(args: &str) -> Result<RegistryOptions, clap::Error> {
        Cli::try_parse_from(["x"].into_iter().chain(args.split_whitespace())).map(|c| c.registry)
    }

    #[test]
    fn options_are_handed_on_with_the_sides_prefix() {
        let options = parse(
            "--authfile a --tls-verify=false --cert-dir c --retry-times 3 --insecure-policy \
             --registries-conf r --registries.d d --creds u:p --registry-token t",
        )
        .unwrap();
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(Some(dir.path())).unwrap();
        let skopeo = Skopeo { options: &options, store: &store, purpose: "to test" };
        assert_eq!(
            skopeo.global(),
            ["--insecure-policy", "--registries-conf=r", "--registries.d=d"]
        );
        assert_eq!(
            skopeo.access(Side::Source),
            ["--src-authfile=a", "--src-tls-verify=false", "--src-cert-dir=c", "--retry-times=3"]
        );
        assert_eq!(skopeo.access(Side::Inspected)[0], "--authfile=a");
        let helper = skopeo.command("copy", Side::Destination).unwrap();
        let shown = format!("{:?}", helper.command);
        for wanted in ["--dest-creds=u:p", "--dest-registry-token=t", "--tmpdir="] {
            assert!(shown.contains(wanted), "{shown}");
        }
    }

    #[test]
    fn the_default_hands_on_nothing() {
        let options = parse("").unwrap();
        assert_eq!(options, RegistryOptions::default());
        assert_eq!(parse("--tls-verify").unwrap().tls_verify, Some(true));
        assert!(parse("--tls-verify=perhaps").is_err());
        assert!(parse("--creds a --no-creds").is_err());
    }

    #[test]
    fn a_secret_does_not_print_itself() {
        let options = parse("--creds user:hunter2").unwrap();
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
