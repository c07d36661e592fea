//! `encore verify-draw`: computes every number of a draw again, from what `QueueService.GetDraw` answers.

use std::io::Read;
use std::path::PathBuf;

use clap::Args;
use encore_domain::queue::{DRAW_KEY_BYTES, Draw, DrawKey};

use crate::commands::CommandError;

/// Checks a draw: that the revealed key is the one whose hash was published, and that every lane's numbers are those it draws.
#[derive(Args)]
pub struct VerifyDrawArgs {
    /// What `QueueService.GetDraw` answered, as JSON: a file, or `-` for the standard input.
    answer: PathBuf,
    /// Tell the number of who joined this lane …
    #[arg(long, requires = "joined_as")]
    lane: Option<String>,
    /// … as the n-th: `number` of `JoinQueue`'s answer.
    #[arg(long, requires = "lane")]
    joined_as: Option<u64>,
}

/// Reads an answer, computes the draw, and prints what it finds.
pub fn run(args: &VerifyDrawArgs) -> Result<(), CommandError> {
    let told = Told::read(&read(&args.answer)?)?;
    if told.key.commitment().as_slice() != told.key_sha256 {
        return Err(CommandError::DrawBroken("the key is not the one whose hash was published".to_owned()));
    }
    println!("the key is the one whose hash was published");
    for (lane, drawn) in (0..).zip(&told.lanes) {
        let draw = Draw::new(told.key, lane, drawn.joined);
        if draw.digest().as_slice() != drawn.numbers_sha256 {
            return Err(CommandError::DrawBroken(format!(
                "the numbers of lane {} are not what the key draws",
                drawn.name
            )));
        }
        println!("lane {}: all {} numbers are what the key draws", drawn.name, drawn.joined);
        if let Some(index) = args.joined_as.filter(|_| args.lane.as_deref() == Some(&drawn.name)) {
            if !(1..=drawn.joined).contains(&index) {
                return Err(CommandError::Usage(format!("--joined-as: must be 1 to {}", drawn.joined)));
            }
            println!("lane {}: who joined as number {index} drew number {}", drawn.name, draw.number(index));
        }
    }
    match &args.lane {
        Some(name) if !told.lanes.iter().any(|lane| lane.name == *name) => {
            Err(CommandError::Usage(format!("--lane: there is no lane {name:?}")))
        }
        Some(_) | None => Ok(()),
    }
}

fn read(path: &PathBuf) -> Result<String, CommandError> {
    let mut text = String::new();
    let reading = if path.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(path).map(|content| text = content)
    };
    reading.map_err(|source| CommandError::Read { what: path.display().to_string(), source })?;
    Ok(text)
}

/// What an answer says.
struct Told {
    key: DrawKey,
    key_sha256: Vec<u8>,
    lanes: Vec<ReportedLane>,
}

struct ReportedLane {
    name: String,
    joined: u64,
    numbers_sha256: Vec<u8>,
}

impl Told {
    fn read(text: &str) -> Result<Self, CommandError> {
        let answer: serde_json::Value = serde_json::from_str(text)
            .map_err(|error| CommandError::Usage(format!("the answer is no JSON: {error}")))?;
        let lanes = answer["lanes"].as_array().cloned().unwrap_or_default();
        if lanes.is_empty() {
            return Err(CommandError::Usage("the numbers are not drawn yet: the answer has no lanes".to_owned()));
        }
        let key: Vec<u8> = bytes(&answer, "key")?;
        let key = <[u8; DRAW_KEY_BYTES]>::try_from(key);
        let key = key.map_err(|_| CommandError::Usage(format!("key: must have {DRAW_KEY_BYTES} bytes")))?;
        Ok(Self {
            key: DrawKey(key),
            key_sha256: bytes(&answer, "keySha256")?,
            lanes: lanes.iter().map(ReportedLane::read).collect::<Result<_, _>>()?,
        })
    }
}

impl ReportedLane {
    fn read(lane: &serde_json::Value) -> Result<Self, CommandError> {
        // JSON for protobuf leaves out zero, and writes 64-bit numbers as strings.
        let told = &lane["joined"];
        let digits = || told.as_str().and_then(|digits| digits.parse().ok());
        let joined = if told.is_null() { Some(0) } else { told.as_u64().or_else(digits) };
        Ok(Self {
            name: lane["lane"].as_str().unwrap_or_default().to_owned(),
            joined: joined.ok_or_else(|| CommandError::Usage("lanes.joined: must be a number".to_owned()))?,
            numbers_sha256: bytes(lane, "numbersSha256")?,
        })
    }
}

fn bytes(object: &serde_json::Value, field: &str) -> Result<Vec<u8>, CommandError> {
    let text = object[field].as_str().unwrap_or_default();
    let engine = base64::engine::general_purpose::STANDARD;
    base64::Engine::decode(&engine, text).map_err(|error| CommandError::Usage(format!("{field}: {error}")))
}
