//! Moments as PostgreSQL sends them: microseconds since the year 2000.

use fogline_core::time::Timestamp;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Type};

/// 2000-01-01 in microseconds since 1970.
const EPOCH: i64 = 946_684_800_000_000;

/// A `timestamptz`.
pub(super) struct Moment(pub(super) Timestamp);

impl Moment {
    /// As it is sent. What is outside of the range of PostgreSQL is refused there.
    pub(super) const fn to_bytes(time: Timestamp) -> [u8; 8] {
        time.as_micros().saturating_sub(EPOCH).to_be_bytes()
    }
}

impl Type<Postgres> for Moment {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("timestamptz")
    }
}

impl Encode<'_, Postgres> for Moment {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(&Self::to_bytes(self.0));
        Ok(IsNull::No)
    }
}

impl Decode<'_, Postgres> for Moment {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        if value.format() != PgValueFormat::Binary {
            return Err("a time is read in binary only".into());
        }
        let micros = i64::from_be_bytes(value.as_bytes()?.try_into()?);
        match micros.checked_add(EPOCH) {
            Some(micros) => Ok(Self(Timestamp::from_micros(micros))),
            None => Err("it is no moment but infinity".into()),
        }
    }
}
