use encore_domain::line_snapshot::GoneMap;

/// Which numbers are gone: the most significant bit of the first byte is number 0, as [`GoneMap`] reads it.
#[derive(Default)]
pub struct Bitmap(Vec<u8>);

impl Bitmap {
    pub fn insert(&mut self, number: u64) {
        let (byte, bit) = place(number);
        if byte >= self.0.len() {
            self.0.resize(byte + 1, 0);
        }
        self.0[byte] |= bit;
    }

    pub fn contains(&self, number: u64) -> bool {
        let (byte, bit) = place(number);
        self.0.get(byte).is_some_and(|bits| bits & bit != 0)
    }

    /// A copy from the byte of this number on.
    pub fn from(&self, number: u64) -> BitmapTail {
        let (byte, _) = place(number);
        BitmapTail { first: number / 8 * 8, bytes: self.0.get(byte..).unwrap_or_default().to_vec() }
    }
}

/// The end of a bitmap. What is counted for a [`GoneMap`] is counted here, where no mutex is held.
pub struct BitmapTail {
    first: u64,
    bytes: Vec<u8>,
}

impl From<BitmapTail> for GoneMap {
    fn from(tail: BitmapTail) -> Self {
        Self::from_bytes(tail.first, &tail.bytes)
    }
}

fn place(number: u64) -> (usize, u8) {
    let byte = usize::try_from(number / 8).unwrap_or(usize::MAX);
    (byte, 0x80 >> (number % 8))
}
