//! Checks of the biller's users.

use super::{CheckStatus, ReadinessCheck, check};
use crate::db::{Db, DbError, Sql};
use crate::directory::Biller;
use crate::provisioning::Provisioning;
use crate::provisioning::sync::users;
use crate::{sql, values};
use signpost_core::BillerId;

const USERS_WITHOUT_EMAIL: Sql = sql!(
    "SELECT count(*) AS total FROM membership m JOIN users u ON u.id = m.user_id \
     WHERE m.biller_id = $1 AND u.status <> 'deleted' AND u.email = ''"
);

impl Provisioning {
    /// Compares the numbers of users. `provisioned_pool` is the pool of the job that is about to activate the biller.
    pub(super) async fn users_check(
        &self,
        biller: &Biller,
        provisioned_pool: Option<&str>,
    ) -> Result<ReadinessCheck, DbError> {
        let user_pool = match provisioned_pool {
            Some(pool) => Some(pool.to_owned()),
            None => self.user_pool(&biller.id).await?.map(|user_pool| user_pool.pool),
        };
        let (Some(management), Some(pool)) = (self.management.as_ref(), user_pool) else {
            let advice =
                "Signpost does not manage the biller's users at SecureAuth. There is nothing to compare.".to_owned();
            return Ok(check("users", CheckStatus::Pass, advice));
        };
        let here = users::count(&self.db, &biller.id).await?;
        Ok(match management.pool(&pool).await.map(|pool| pool.map(|pool| pool.number_of_users)) {
            Ok(Some(Some(there))) if there == here => {
                check("users", CheckStatus::Pass, format!("The directory and SecureAuth have {here} user(s)."))
            }
            Ok(Some(Some(there))) => {
                let advice = format!(
                    "The directory has {here} user(s), but SecureAuth has {there}. `signpost sync {}` repairs the pool {pool}.",
                    biller.slug
                );
                check("users", CheckStatus::Fail, advice)
            }
            Ok(Some(None)) => check(
                "users",
                CheckStatus::Warning,
                "SecureAuth did not report its number of users. Check it there.".to_owned(),
            ),
            Ok(None) => check(
                "users",
                CheckStatus::Fail,
                format!("The pool {pool} no longer exists at SecureAuth. Enable the biller again."),
            ),
            Err(error) => check(
                "users",
                CheckStatus::Warning,
                format!("The numbers of users could not be compared: {error}. Try again."),
            ),
        })
    }
}

pub(super) async fn missing_emails_check(db: &Db, biller: &BillerId) -> Result<ReadinessCheck, DbError> {
    let count = db.one(USERS_WITHOUT_EMAIL, values![biller.as_str()]).await?.map_or(Ok(0), |row| row.int("total"))?;
    Ok(if count == 0 {
        check("users_without_email", CheckStatus::Pass, "Every user has a mail address.".to_owned())
    } else {
        let advice =
            format!("{count} user(s) have no mail address and cannot reset their password. Add their mail addresses.");
        check("users_without_email", CheckStatus::Warning, advice)
    })
}
