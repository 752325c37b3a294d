//! A biller's branding: a colour for light pages, one for dark pages, and a logo. Saving rejects colours with too little contrast.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use signpost_core::Colour;
use signpost_core::colour::{MIN_CONTROL_CONTRAST, MIN_TEXT_CONTRAST};
use signpost_core::text::sha256;

/// Every page of the biller loads the logo.
const MAX_LOGO_BYTES: usize = 32 * 1024;
const MAX_LOGO_SIDE_PIXELS: u32 = 2048;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Branding {
    pub colours: Option<Colours>,
    pub logo: Option<Logo>,
}

/// The colour of buttons and links on light and on dark pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Colours {
    pub accent: Colour,
    pub accent_dark: Colour,
}

/// What every page needs to know of a logo. The picture has a table of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logo {
    /// Identifies the picture.
    pub hash: String,
    pub width: u32,
    pub height: u32,
    /// The picture in base64, until it is saved.
    #[serde(skip)]
    pub(super) picture: Option<String>,
}

/// Light or dark pages, against which a colour is checked.
struct Scheme {
    field: &'static str,
    name: &'static str,
    /// `--sheet` and `--tint` of the stylesheet; a test compares them.
    backgrounds: [(Colour, &'static str); 2],
    /// A colour that is closer to this has more contrast.
    contrast_target: Colour,
    /// Colour of the text on a button.
    on_button: Colour,
}

const LIGHT: Scheme = Scheme {
    field: "accent",
    name: "light",
    backgrounds: [(Colour::WHITE, "the page"), (Colour::rgb(0xee, 0xf5, 0xf3), "a tinted box")],
    contrast_target: Colour::BLACK,
    on_button: Colour::WHITE,
};
const DARK: Scheme = Scheme {
    field: "accent_dark",
    name: "dark",
    backgrounds: [(Colour::rgb(0x16, 0x1e, 0x1c), "the page"), (Colour::rgb(0x1d, 0x2b, 0x28), "a tinted box")],
    contrast_target: Colour::WHITE,
    on_button: Colour::BLACK,
};

/// A colour and what it is on, with the contrast that they need.
struct ContrastPair {
    what: &'static str,
    against: Colour,
    place: &'static str,
    required: f64,
}

impl Scheme {
    fn pairs(&self) -> Vec<ContrastPair> {
        let on = |what, required| {
            move |(against, place): (Colour, &'static str)| ContrastPair { what, against, place, required }
        };
        let links = self.backgrounds.into_iter().map(on("links", MIN_TEXT_CONTRAST));
        let edges = self.backgrounds.into_iter().map(on("the edge of a box or button", MIN_CONTROL_CONTRAST));
        let button = ContrastPair {
            what: "buttons",
            against: self.on_button,
            place: "the text on them",
            required: MIN_TEXT_CONTRAST,
        };
        links.chain(edges).chain([button]).collect()
    }

    /// Names each pair with too little contrast, its ratio, and the nearest colour with enough.
    fn problem(&self, colour: Colour) -> Option<String> {
        let pairs = self.pairs();
        let is_sufficient = |colour: Colour| pairs.iter().all(|pair| colour.contrast(pair.against) >= pair.required);
        if is_sufficient(colour) {
            return None;
        }
        let wrong = pairs.iter().filter(|pair| colour.contrast(pair.against) < pair.required);
        let failures: Vec<String> = wrong
            .map(|pair| {
                let ContrastPair { what, against, place, required } = pair;
                // Rounded down, so that no rejected ratio looks sufficient.
                let ratio = (colour.contrast(*against) * 100.0).floor() / 100.0;
                format!(
                    "{what} in {colour} against {place} ({against}) have a contrast of {ratio}:1 and need {required}:1"
                )
            })
            .collect();
        let nearest = colour.nearest_towards(self.contrast_target, is_sufficient).unwrap_or(self.contrast_target);
        Some(format!("in the {} scheme {}; {nearest} would do", self.name, failures.join(", and ")))
    }

    fn lowest_text_contrast(&self, colour: Colour) -> f64 {
        let text = self.pairs().into_iter().filter(|pair| pair.required >= MIN_TEXT_CONTRAST);
        text.map(|pair| colour.contrast(pair.against)).fold(f64::INFINITY, f64::min)
    }
}

impl Colours {
    /// The fields with too little contrast, each with a message.
    pub fn problems(self) -> Vec<(&'static str, String)> {
        let each = [(&LIGHT, self.accent), (&DARK, self.accent_dark)];
        each.into_iter().filter_map(|(scheme, colour)| Some((scheme.field, scheme.problem(colour)?))).collect()
    }

    /// The lowest contrast of text on light and on dark pages.
    pub fn lowest_text_contrast(self) -> (f64, f64) {
        (LIGHT.lowest_text_contrast(self.accent), DARK.lowest_text_contrast(self.accent_dark))
    }

    /// A stylesheet that replaces the default colours.
    pub fn stylesheet(self) -> String {
        let scheme = |scheme: &Scheme, colour: Colour| {
            let strong = colour.mix(scheme.contrast_target, 30);
            format!(":root{{--accent:{colour};--accent-strong:{strong};--on-accent:{}}}", scheme.on_button)
        };
        let (light, dark) = (scheme(&LIGHT, self.accent), scheme(&DARK, self.accent_dark));
        format!("{light}@media (prefers-color-scheme:dark){{{dark}}}\n")
    }
}

impl Logo {
    /// Reads a PNG (ISO/IEC 15948) in base64. A PNG cannot contain a script.
    pub fn read(base64: &str) -> Result<Self, String> {
        let compact: String = base64.split_whitespace().collect();
        let picture = STANDARD.decode(compact).map_err(|_| "must be a PNG in base64".to_owned())?;
        Self::from_png(&picture)
    }

    pub fn from_png(picture: &[u8]) -> Result<Self, String> {
        if picture.len() > MAX_LOGO_BYTES {
            return Err(format!("has {} bytes; the maximum is {MAX_LOGO_BYTES}", picture.len()));
        }
        let (width, height) = png_size(picture).ok_or_else(|| "is not a whole PNG: export it as one".to_owned())?;
        if !(1..=MAX_LOGO_SIDE_PIXELS).contains(&width) || !(1..=MAX_LOGO_SIDE_PIXELS).contains(&height) {
            return Err(format!("is {width} by {height} pixels; the maximum is {MAX_LOGO_SIDE_PIXELS} each way"));
        }
        let hash = sha256(picture)[..12].to_owned();
        Ok(Self { hash, width, height, picture: Some(STANDARD.encode(picture)) })
    }
}

/// Width and height of a complete PNG: its chunks lead from the header to the end, and nothing follows.
fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let number = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let mut at = bytes.starts_with(b"\x89PNG\r\n\x1a\n").then_some(8)?;
    if bytes.get(12..16)? != b"IHDR" {
        return None;
    }
    loop {
        let (length, kind) = (usize::try_from(number(at)?).ok()?, bytes.get(at + 4..at + 8)?);
        let end = at.checked_add(length)?.checked_add(12)?;
        if kind == b"IEND" {
            return (end == bytes.len()).then_some((number(16)?, number(20)?));
        }
        at = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colours(accent: &str, accent_dark: &str) -> Colours {
        Colours { accent: accent.parse().unwrap(), accent_dark: accent_dark.parse().unwrap() }
    }

    #[test]
    fn low_contrast_is_rejected_with_pair_ratio_and_suggestion() {
        assert!(colours("#0b5d57", "#7dd3c5").problems().is_empty());
        let problems = colours("#ffcc00", "#003366").problems();
        let [(light, says), (dark, _)] = &problems[..] else { panic!("{problems:?}") };
        assert_eq!((*light, *dark), ("accent", "accent_dark"));
        assert!(
            says.contains("links in #ffcc00 against the page (#ffffff) have a contrast of 1.51:1 and need 4.5:1"),
            "{says}"
        );
        let would_do = says.rsplit("; ").next().unwrap().split(' ').next().unwrap();
        assert!(colours(would_do, "#7dd3c5").problems().is_empty(), "{would_do}");
        assert_eq!(colours("#767676", "#7dd3c5").problems().len(), 1, "enough on white, not on the tint");
    }

    #[test]
    fn logos_must_be_complete_png_files() {
        let tiny = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
        let logo = Logo::read(tiny).unwrap();
        assert_eq!((logo.width, logo.height, logo.hash.len()), (1, 1, 12));
        let bytes = STANDARD.decode(tiny).unwrap();
        let with = |bytes: &[u8]| Logo::read(&STANDARD.encode(bytes));
        let mut appended = bytes.clone();
        appended.extend(b"<script>");
        let mut large = bytes.clone();
        large[16] = 0x7f;
        let svg = b"<svg xmlns='http://www.w3.org/2000/svg'/>";
        for bad in
            [&bytes[..bytes.len() - 1], &appended, &large, svg, b"GIF89a", b"", &bytes[..20], &[0; MAX_LOGO_BYTES + 1]]
        {
            assert!(with(bad).is_err());
        }
        assert!(Logo::read("not base64!").is_err());
    }
}
