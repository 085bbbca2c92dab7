//! Which metrics and labels a PromQL expression names. It is checked by promtool beforehand, so that this need not understand it.

use std::collections::BTreeSet;

/// What an expression names.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Named {
    /// Each selected metric, with its matchers: label, operator, value.
    pub(crate) selectors: Vec<(String, Vec<Matcher>)>,
    /// Labels that it groups or joins by.
    pub(crate) groupings: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Matcher {
    pub(crate) label: String,
    pub(crate) operator: String,
    pub(crate) value: String,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(String),
}

/// Words before a list of labels; the first two follow the name of an aggregation.
const LISTS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
const KEYWORDS: [&str; 5] = ["and", "or", "unless", "bool", "offset"];

/// Reads an expression.
pub(crate) fn named(expression: &str) -> Named {
    let tokens = tokens(expression);
    let mut named = Named::default();
    let mut position = 0;
    while let Some(token) = tokens.get(position) {
        position += 1;
        let Token::Word(word) = token else { continue };
        let next = tokens.get(position);
        let aggregates = matches!(next, Some(Token::Word(word)) if word == "by" || word == "without");
        let opens = |sign: &str| next == Some(&Token::Sign(sign.to_owned()));
        if LISTS.contains(&word.as_str()) {
            let list =
                tokens.iter().skip(position).take_while(|token| **token != Token::Sign(")".to_owned()));
            let list: Vec<_> = list.collect();
            position += list.len();
            named.groupings.extend(list.into_iter().filter_map(|token| match token {
                Token::Word(label) => Some(label.clone()),
                _ => None,
            }));
        } else if opens("{") {
            let inside =
                tokens.iter().skip(position).take_while(|token| **token != Token::Sign("}".to_owned()));
            let inside: Vec<_> = inside.cloned().collect();
            position += inside.len();
            named.selectors.push((word.clone(), matchers(&inside)));
        } else if !aggregates && !opens("(") && !KEYWORDS.contains(&word.as_str()) && !is_number(word) {
            named.selectors.push((word.clone(), Vec::new()));
        }
    }
    named
}

fn matchers(inside: &[Token]) -> Vec<Matcher> {
    let triples = inside.windows(3).filter_map(|three| match three {
        [Token::Word(label), Token::Sign(operator), Token::Text(value)] => {
            Some(Matcher { label: label.clone(), operator: operator.clone(), value: value.clone() })
        }
        _ => None,
    });
    triples.collect()
}

fn is_number(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
}

fn tokens(expression: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            c if c.is_whitespace() => (None, c.len_utf8()),
            '"' => {
                let text = rest.get(1..).and_then(|rest| rest.split('"').next()).unwrap();
                (Some(Token::Text(text.to_owned())), text.len() + 2)
            }
            // A duration, or a variable of Grafana for one.
            '[' => (None, rest.find(']').unwrap() + 1),
            c if is_part_of_word(c) => {
                let end = rest.find(|c| !is_part_of_word(c)).unwrap_or(rest.len());
                (rest.get(..end).map(|word| Token::Word(word.to_owned())), end)
            }
            c => {
                let signs = ["=~", "!~", "!=", "==", ">=", "<="];
                let sign = signs.into_iter().find(|sign| rest.starts_with(sign)).map(str::to_owned);
                let sign = sign.unwrap_or_else(|| c.to_string());
                let length = sign.len();
                (Some(Token::Sign(sign)), length)
            }
        };
        tokens.extend(token);
        rest = rest.get(length..).unwrap();
    }
    tokens
}

fn is_part_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.')
}

#[test]
fn an_expression_is_taken_apart() {
    let expression =
        "sum by (a) (rate(m_total{b=\"1}\", c=~\"x|y\"}[10m]) and on (job) n) / 2 > bool 0.5 or vector(0)";
    let named = named(expression);
    let matcher = |label: &str, operator: &str, value: &str| Matcher {
        label: label.to_owned(),
        operator: operator.to_owned(),
        value: value.to_owned(),
    };
    assert_eq!(
        named.selectors,
        [
            ("m_total".to_owned(), vec![matcher("b", "=", "1}"), matcher("c", "=~", "x|y")]),
            ("n".to_owned(), vec![])
        ]
    );
    assert_eq!(named.groupings.into_iter().collect::<Vec<_>>(), ["a", "job"]);
}
