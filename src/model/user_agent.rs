//! The browser's name from its user agent string. Pure: it never asks the browser.

/// Browser tokens in a user agent. Specific ones come before those that other browsers include as well.
const BROWSERS: [(&str, &str); 7] = [
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("HeadlessChrome/", "Chrome, headless"),
    ("Chrome/", "Chrome"),
    // Safari's version follows `Version/`. The number after `Safari/` is that of its engine.
    ("Version/", "Safari"),
];

/// System tokens in a user agent. Android also says Linux, and iPads may say Macintosh.
const SYSTEMS: [(&str, &str); 7] = [
    ("Android", "Android"),
    ("iPhone", "iOS"),
    ("iPad", "iPadOS"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
];

/// The names of the browser and of the system, such as `Chrome 156 on Linux`.
pub fn name(user_agent: &str) -> String {
    let browser = BROWSERS.iter().find_map(|(token, name)| {
        let rest = user_agent.split_once(token)?.1;
        let version: String = rest.chars().take_while(char::is_ascii_digit).collect();
        Some(format!("{name} {version}"))
    });
    let system = SYSTEMS.iter().find(|(token, _)| user_agent.contains(token)).map(|(_, name)| *name);
    format!("{} on {}", browser.unwrap_or("an unknown browser".into()), system.unwrap_or("an unknown system"))
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn browsers_are_recognised() {
        let chrome =
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36";
        let safari = "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                      Version/26.0 Mobile/15E148 Safari/604.1";
        let firefox = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:150.0) Gecko/20100101 Firefox/150.0";
        let edge =
            format!("{} Edg/155.0.0.0", chrome.replace("X11; Linux x86_64", "Macintosh; Intel Mac OS X 10_15_7"));
        assert_eq!(name(chrome), "Chrome 156 on Linux");
        assert_eq!(name(&chrome.replace("X11; Linux x86_64", "Linux; Android 16; K")), "Chrome 156 on Android");
        assert_eq!(name(safari), "Safari 26 on iOS");
        assert_eq!(name(firefox), "Firefox 150 on Windows");
        assert_eq!(name(&edge), "Edge 155 on macOS");
        assert_eq!(name("lynx"), "an unknown browser on an unknown system");
    }
}
