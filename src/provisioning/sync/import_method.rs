//! How users reach SecureAuth. An enablement job finds out once; its ledger keeps the result for the job and for later pushes.

use crate::db::{DbError, Sql};
use crate::provisioning::Provisioning;
use crate::secureauth::management::ImportCall;
use crate::{sql, values};
use signpost_core::BillerId;

/// The kind of the step that records the method.
pub(in crate::provisioning) const IMPORT_STEP: &str = "import";

const RECORDED: Sql = sql!(
    "SELECT s.object_id AS method FROM job_step s JOIN job j ON j.id = s.job_id \
     WHERE j.biller_id = $1 AND j.state = 'active' AND s.kind = 'import' ORDER BY j.created_at DESC LIMIT 1"
);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::provisioning) enum ImportMethod {
    /// Up to a hundred users in one call, which overwrites users that exist.
    Import(ImportCall),
    /// No import works: each user is created and updated alone, without a password hash.
    SingleUsers,
}

impl ImportMethod {
    pub(in crate::provisioning) fn as_str(self) -> &'static str {
        match self {
            Self::Import(call) => call.as_str(),
            Self::SingleUsers => "single user calls",
        }
    }

    pub(in crate::provisioning) fn parse(text: &str) -> Option<Self> {
        let all = ImportCall::ALL.map(Self::Import).into_iter().chain([Self::SingleUsers]);
        all.into_iter().find(|method| method.as_str() == text)
    }
}

impl Provisioning {
    /// The method of the job that migrated the biller. None if it imported no users.
    pub(super) async fn recorded_import_method(&self, biller: &BillerId) -> Result<Option<ImportMethod>, DbError> {
        let row = self.db.one(RECORDED, values![biller.as_str()]).await?;
        Ok(row.map(|row| row.text("method")).transpose()?.and_then(|text| ImportMethod::parse(&text)))
    }
}
