//! Many questions at once, as CSV. The answers are CSV as well, made so that no spreadsheet takes a cell for a formula.

use axum::extract::{Multipart, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use super::pages::{BatchPage, BatchRow};
use super::staff::Staff;
use super::{Console, respond, simulate};
use crate::audit::{Action, AuditEvent, csv_export};
use crate::directory::import_users;
use crate::routing::{SimulationError, SimulationRequest};
use crate::web::HttpError;

/// At most so many questions.
const MAX_ROWS: usize = 500;

/// `GET /simulate/batch`
pub(super) async fn form(State(console): State<Console>, staff: Staff) -> Result<Response, HttpError> {
    page(&console, &staff, StatusCode::OK, String::new(), None, Vec::new())
}

/// `POST /simulate/batch`: the answers on a page, or as CSV with `format=csv`.
pub(super) async fn submit(
    State(console): State<Console>,
    staff: Staff,
    mut parts: Multipart,
) -> Result<Response, HttpError> {
    let (mut list, mut file, mut as_csv) = (Vec::new(), Vec::new(), false);
    while let Some(part) = parts.next_field().await.map_err(|error| HttpError::from_status(error.status()))? {
        let name = part.name().unwrap_or_default().to_owned();
        let bytes = part.bytes().await.map_err(|error| HttpError::from_status(error.status()))?;
        match name.as_str() {
            "list" => list = bytes.to_vec(),
            "file" => file = bytes.to_vec(),
            "format" => as_csv = bytes.as_ref() == b"csv",
            _ => {}
        }
    }
    let sent = if file.trim_ascii().is_empty() { list } else { file };
    let refuse = |text: String, problem| {
        page(&console, &staff, StatusCode::UNPROCESSABLE_ENTITY, text, Some(problem), Vec::new())
    };
    let (text, format) = match import_users::decode(&sent, is_column) {
        Ok(decoded) => decoded,
        Err(error) => return refuse(String::new(), format!("The list cannot be read: {error}")),
    };
    let questions = match parse_questions(&text, &format) {
        Ok(questions) => questions,
        Err(problem) => return refuse(text, problem),
    };
    console.check_batch_limit(&staff)?;
    console.record(&staff, AuditEvent::new(Action::SimulationRun).with("questions", questions.len()), None).await?;
    let mut answers = Vec::new();
    for (line, question) in questions {
        answers.push(answer(&console, line, &question).await?);
    }
    if as_csv { Ok(csv(&answers)) } else { page(&console, &staff, StatusCode::OK, text, None, answers) }
}

fn is_column(name: &str) -> bool {
    name.eq_ignore_ascii_case("username") || name.eq_ignore_ascii_case("entry")
}

/// The questions of a list, each with its line.
fn parse_questions(text: &str, format: &import_users::Format) -> Result<Vec<(usize, SimulationRequest)>, String> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(format.delimiter.byte())
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut columns: Option<(Option<usize>, Option<usize>)> = None;
    let mut questions = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| format!("Cannot read the list: {error}"))?;
        let line = record.position().map_or(0, csv::Position::line) as usize;
        if (format.has_hint && line == 1) || record.iter().all(str::is_empty) {
            continue;
        }
        let cell = |at: Option<usize>| {
            let text = at.and_then(|at| record.get(at)).filter(|text| !text.is_empty());
            text.map(|text| csv_export::unescape_formula(text).to_owned())
        };
        let Some((username, entry)) = columns else {
            let named = |name: &str| record.iter().position(|cell| cell.eq_ignore_ascii_case(name));
            let (username, entry) = (named("username"), named("entry"));
            if username.is_none() && entry.is_none() {
                if record.len() > 1 {
                    return Err("The first line must name the columns: username, entry".to_owned());
                }
                columns = Some((Some(0), None));
                questions.push((line, SimulationRequest { username: cell(Some(0)), ..SimulationRequest::default() }));
            } else {
                columns = Some((username, entry));
            }
            continue;
        };
        questions.push((
            line,
            SimulationRequest { username: cell(username), entry: cell(entry), ..SimulationRequest::default() },
        ));
        if questions.len() > MAX_ROWS {
            return Err(format!("A batch has at most {MAX_ROWS} sign-ins"));
        }
    }
    if questions.is_empty() { Err("The list is empty".to_owned()) } else { Ok(questions) }
}

async fn answer(console: &Console, line: usize, question: &SimulationRequest) -> Result<BatchRow, HttpError> {
    let mut found = BatchRow {
        line,
        username: question.username.clone().unwrap_or_default(),
        entry: question.entry.clone().unwrap_or_default(),
        decision: String::new(),
        biller: String::new(),
        row: String::new(),
        because: String::new(),
        error: String::new(),
    };
    match console.app.routing.simulate(question, None).await {
        Ok(answer) => {
            let verdict = &answer.routing_result.verdict;
            verdict.decision.label().clone_into(&mut found.decision);
            found.biller = verdict.biller.as_ref().map(ToString::to_string).unwrap_or_default();
            found.row = verdict.row.to_string();
            found.because = verdict.because().unwrap_or_default().to_owned();
        }
        Err(SimulationError::Directory(error)) => return Err(error.into()),
        Err(error) => found.error = simulate::form_error(&error).message,
    }
    Ok(found)
}

fn csv(answers: &[BatchRow]) -> Response {
    let mut text = csv_export::row(["line", "username", "entry", "decision", "biller", "row", "because", "error"]);
    for answer in answers {
        let BatchRow { line, username, entry, decision, biller, row, because, error } = answer;
        text.push_str(&csv_export::row(
            [&line.to_string(), username, entry, decision, biller, row, because, error].map(String::as_str),
        ));
    }
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"simulations.csv\""),
    ];
    (headers, text).into_response()
}

fn page(
    console: &Console,
    staff: &Staff,
    status: StatusCode,
    list: String,
    error: Option<String>,
    answers: Vec<BatchRow>,
) -> Result<Response, HttpError> {
    respond::page(console, Some(staff), status, |chrome| BatchPage { chrome, list, error, answers, max_rows: MAX_ROWS })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Row = (usize, Option<String>, Option<String>);

    fn read(text: &str) -> Result<Vec<Row>, String> {
        let (text, format) = import_users::decode(text.as_bytes(), is_column).map_err(|error| error.to_string())?;
        Ok(parse_questions(&text, &format)?
            .into_iter()
            .map(|(line, question)| (line, question.username, question.entry))
            .collect())
    }

    #[test]
    fn lists_are_parsed_with_and_without_a_header_row() {
        let name = |name: &str| Some(name.to_owned());
        assert_eq!(read("ann\nbob\n").unwrap(), [(1, name("ann"), None), (2, name("bob"), None)]);
        assert_eq!(read("username\r\nann\r\n").unwrap(), [(2, name("ann"), None)]);
        let both = read("\u{feff}Entry,username,x\n/b/riverside-water,,1\n,\"a,b\",\n").unwrap();
        assert_eq!(both, [(2, None, name("/b/riverside-water")), (3, name("a,b"), None)]);
        let tabs = "sep=\t\r\nusername\tentry\r\n\t\r\n'=ann\t/b/x\r\n";
        assert_eq!(read(tabs).unwrap(), [(4, name("=ann"), name("/b/x"))], "as spreadsheets write it");
        assert!(read("ann,/login\n").is_err(), "which is which?");
        assert!(read("").is_err() && read("username\n").is_err());
        assert!(read(&"ann\n".repeat(MAX_ROWS)).is_ok() && read(&"ann\n".repeat(MAX_ROWS + 1)).is_err());
    }
}
