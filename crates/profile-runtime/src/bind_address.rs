//! Where a server listens, as Go programs write it.

use std::net::SocketAddr;

/// Where a server listens, if it does.
pub type BindAddress = Option<SocketAddr>;

/// Reads `HOST:PORT`, or `:PORT` for every address of the machine; `0` for none.
///
/// # Errors
/// For any other text; with what would be right.
pub fn parse(text: &str) -> Result<BindAddress, String> {
    if text == "0" || text.is_empty() {
        return Ok(None);
    }
    let with_host = if text.starts_with(':') {
        format!("[::]{text}")
    } else {
        text.replacen("localhost:", "127.0.0.1:", 1)
    };
    let address =
        with_host.parse().map_err(|_| "write IP:PORT, :PORT for every address, or 0 for none".to_owned())?;
    Ok(Some(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_go_reads_them() {
        for (text, address) in [
            (":8080", "[::]:8080"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("localhost:81", "127.0.0.1:81"),
            ("[::1]:5", "[::1]:5"),
        ] {
            assert_eq!(parse(text), Ok(Some(address.parse().expect(address))), "{text}");
        }
        assert_eq!(parse("0"), Ok(None));
        assert_eq!(parse(""), Ok(None));
        assert!(parse("8080x").is_err_and(|error| error.contains(":PORT")));
    }
}
