//! `encore verify-draw`: recomputes every number of a draw from the reply of `QueueService.GetDraw`.

use std::io::Read;
use std::path::PathBuf;

use clap::Args;
use encore_domain::queue::{DRAW_KEY_BYTES, Draw, DrawKey};

use crate::commands::CommandError;
use crate::output::print_line;

/// Verifies a draw: the hash of the revealed key equals the published hash, and the key yields every lane's numbers.
#[derive(Args)]
pub struct VerifyDrawArgs {
    /// The reply of `QueueService.GetDraw` as JSON: a file, or `-` for standard input.
    reply: PathBuf,
    /// Print the number that a fan of this lane drew. Requires --joined-as.
    #[arg(long, requires = "joined_as")]
    lane: Option<String>,
    /// The fan's `number` in the reply of `JoinQueue`. Requires --lane.
    #[arg(long, requires = "lane")]
    joined_as: Option<u64>,
}

/// Reads a reply, recomputes the draw and prints the result.
pub fn run(args: &VerifyDrawArgs) -> Result<(), CommandError> {
    let reply = Reply::read(&read(&args.reply)?)?;
    if reply.key.commitment().as_slice() != reply.key_sha256 {
        return Err(CommandError::DrawBroken("the key does not have the published hash".to_owned()));
    }
    print_line("the key has the published hash")?;
    for (lane, drawn) in (0..).zip(&reply.lanes) {
        let draw = Draw::new(reply.key, lane, drawn.joined);
        if draw.digest().as_slice() != drawn.numbers_sha256 {
            return Err(CommandError::DrawBroken(format!("the key does not yield the numbers of lane {}", drawn.name)));
        }
        print_line(format_args!("lane {}: the key yields all {} numbers", drawn.name, drawn.joined))?;
        if let Some(index) = args.joined_as.filter(|_| args.lane.as_deref() == Some(&drawn.name)) {
            if !(1..=drawn.joined).contains(&index) {
                return Err(CommandError::Usage(format!("--joined-as: must be 1 to {}", drawn.joined)));
            }
            let number = draw.number(index);
            print_line(format_args!("lane {}: the fan who joined as number {index} drew number {number}", drawn.name))?;
        }
    }
    match &args.lane {
        Some(name) if !reply.lanes.iter().any(|lane| lane.name == *name) => {
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

/// The reply of `GetDraw`.
struct Reply {
    key: DrawKey,
    key_sha256: Vec<u8>,
    lanes: Vec<ReportedLane>,
}

struct ReportedLane {
    name: String,
    joined: u64,
    numbers_sha256: Vec<u8>,
}

impl Reply {
    fn read(text: &str) -> Result<Self, CommandError> {
        let reply: serde_json::Value = serde_json::from_str(text)
            .map_err(|error| CommandError::Usage(format!("the reply is not valid JSON: {error}")))?;
        let lanes = reply["lanes"].as_array().cloned().unwrap_or_default();
        if lanes.is_empty() {
            return Err(CommandError::Usage("the reply has no lanes: the numbers are not drawn yet".to_owned()));
        }
        let key: Vec<u8> = bytes(&reply, "key")?;
        let key = <[u8; DRAW_KEY_BYTES]>::try_from(key);
        let key = key.map_err(|_| CommandError::Usage(format!("key: must have {DRAW_KEY_BYTES} bytes")))?;
        Ok(Self {
            key: DrawKey(key),
            key_sha256: bytes(&reply, "keySha256")?,
            lanes: lanes.iter().map(ReportedLane::read).collect::<Result<_, _>>()?,
        })
    }
}

impl ReportedLane {
    fn read(lane: &serde_json::Value) -> Result<Self, CommandError> {
        // The JSON encoding of protobuf omits zero and writes 64-bit numbers as strings.
        let value = &lane["joined"];
        let digits = || value.as_str().and_then(|digits| digits.parse().ok());
        let joined = if value.is_null() { Some(0) } else { value.as_u64().or_else(digits) };
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
