//! What the demo prints for copying: `curl` commands, and the variables by which other programs
//! come to trust the demo's authority. No secret stands in a command: `curl -K` reads it.

use std::{fmt::Write as _, path::Path};

use exequatur_federation::oauth::{GRANT_TOKEN_EXCHANGE, TokenType};

use super::{
    configuration::{API, GATEWAY, OTHER_REGION, REGION, RESOURCE, SCOPE},
    files::{FEDERATION_FILE, Layout},
    journey::Endpoints,
};

/// Where the commands send their requests.
#[derive(Clone, Copy)]
pub(crate) struct Commands<'a> {
    pub(crate) directory: &'a Path,
    pub(crate) layout: &'a Layout,
    pub(crate) endpoints: &'a Endpoints,
    pub(crate) mint_url: &'a str,
    pub(crate) executable: &'a Path,
    pub(crate) error_id: &'a str,
}

impl Commands<'_> {
    /// The way of the story again, command by command. A shell can run it as one script.
    pub(crate) fn script(self) -> String {
        let Self { directory, layout, endpoints, mint_url, .. } = self;
        let (directory, issuer) = (directory.display(), &layout.issuer);
        let curl = self.curl();
        // Every endpoint stands below the issuer; one that did not would still be right in full.
        let short = |url: &str| match url.strip_prefix(issuer.as_str()) {
            Some(path) => format!("$R{path}"),
            None => url.to_owned(),
        };
        let (token, jwks) = (short(&endpoints.token), short(&endpoints.jwks));
        let (introspection, revocation) =
            (short(&endpoints.introspection), short(&endpoints.revocation));
        let kind = TokenType::AccessToken.urn();
        format!(
            r#"D={directory} R={issuer}
GLOBAL=$(curl -sX POST {mint_url})

REGIONAL=$({curl} -K $D/{GATEWAY}.curl {token} \
  -d grant_type={GRANT_TOKEN_EXCHANGE} \
  -d subject_token_type={kind} \
  -d subject_token=$GLOBAL -d resource={RESOURCE} -d scope={SCOPE} |
  sed 's/.*"access_token":"\([^"]*\)".*/\1/')

{curl} -K $D/{API}.curl {introspection} -d token=$REGIONAL
{curl} -K $D/{GATEWAY}.curl {revocation} -d token=$REGIONAL
{curl} -K $D/{API}.curl {introspection} -d token=$REGIONAL
{curl} {jwks}"#
        )
    }

    /// What this program tells about the region beside it; `$D` is set by the script.
    pub(crate) fn records(self) -> String {
        let executable = self.executable.display();
        format!(
            "E={executable}\n\
             $E audit show --config $D/{REGION}/region.toml --federation $D/{FEDERATION_FILE}\n\
             $E audit verify --config $D/{REGION}/region.toml --federation $D/{FEDERATION_FILE}\n\
             $E cluster status --config $D/{REGION}/region.toml --federation $D/{FEDERATION_FILE}\n\
             $E cluster entry --config $D/{REGION}/region.toml --federation $D/{FEDERATION_FILE}\n\
             $E explain {}",
            self.error_id
        )
    }

    /// Other global tokens to try.
    pub(crate) fn variants(self) -> String {
        let mint = self.mint_url;
        format!(
            "# of a person at home elsewhere\n\
             GLOBAL=$(curl -s {mint} -d region={OTHER_REGION})\n\
             # for somebody else\n\
             GLOBAL=$(curl -s {mint} -d audience=billing)"
        )
    }

    /// How Python, Node.js and others come to trust the demo's authority; empty over plain HTTP.
    pub(crate) fn trust(self) -> String {
        let mut lines = String::new();
        if let Some(authority) = &self.layout.authority {
            let authority = authority.display();
            // Writing to a string cannot fail.
            let _written = write!(
                lines,
                "export NODE_EXTRA_CA_CERTS={authority}\nexport SSL_CERT_FILE={authority}"
            );
        }
        lines
    }

    fn curl(self) -> &'static str {
        if self.layout.authority.is_some() { "curl -s --cacert $D/ca.pem" } else { "curl -s" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::testing;

    fn commands(test: impl FnOnce(Commands<'_>)) {
        let (journey, layout) = (testing::journey(), testing::layout());
        test(Commands {
            directory: Path::new("/tmp/exequatur-demo-0123456789abcdef"),
            layout: &layout,
            endpoints: &journey.endpoints,
            mint_url: "http://127.0.0.1:40000/realms/global/mint",
            executable: Path::new("/usr/bin/exequatur"),
            error_id: &journey.refused.error_id,
        });
    }

    #[test]
    fn a_shell_can_read_the_script() {
        commands(|commands| {
            let script =
                format!("{}\n{}\n{}", commands.script(), commands.variants(), commands.trust());
            let checked =
                std::process::Command::new("/bin/sh").args(["-n", "-c", &script]).output();
            let checked = checked.unwrap();
            assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
        });
    }

    #[test]
    fn lines_fit_a_terminal_of_a_hundred_columns() {
        commands(|commands| {
            let parts =
                [commands.script(), commands.records(), commands.variants(), commands.trust()];
            let all = parts.join("\n");
            for line in all.lines() {
                assert!(line.chars().count() <= 100, "{line}");
            }
        });
    }

    #[test]
    fn over_plain_http_nothing_speaks_of_an_authority() {
        let (journey, mut layout) = (testing::journey(), testing::layout());
        layout.authority = None;
        let commands = Commands {
            directory: Path::new("/d"),
            layout: &layout,
            endpoints: &journey.endpoints,
            mint_url: "http://127.0.0.1:40000/realms/global/mint",
            executable: Path::new("/usr/bin/exequatur"),
            error_id: &journey.refused.error_id,
        };
        assert!(!commands.script().contains("cacert"));
        assert_eq!(commands.trust(), "");
    }
}
