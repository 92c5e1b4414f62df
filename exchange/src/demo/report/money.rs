//! Who pays and who receives, by role, and that it adds up to nothing.

use super::{MoneyLine, html, number};

/// The accounts of one role together.
#[derive(Debug)]
struct RoleSum<'a> {
    role: &'a str,
    accounts: usize,
    received: i128,
    paid: i128,
}

impl RoleSum<'_> {
    fn add(&mut self, minor: i64) {
        self.accounts += 1;
        if minor > 0 {
            self.received += i128::from(minor);
        } else {
            self.paid += i128::from(minor);
        }
    }

    fn cells(&self) -> String {
        let net = self.received + self.paid;
        format!(
            "<td>{}</td><td>{}</td><td>{}</td><td>{}</td>",
            number::grouped(self.accounts),
            number::amount(self.received),
            number::amount(self.paid),
            number::amount(net),
        )
    }
}

/// The section about money.
pub(super) fn section(lines: &[MoneyLine], currency: &str) -> String {
    let mut all = RoleSum { role: "all roles", accounts: 0, received: 0, paid: 0 };
    let mut roles: Vec<RoleSum> = Vec::new();
    for line in lines {
        all.add(line.minor);
        match roles.iter_mut().find(|sum| sum.role == line.role) {
            Some(sum) => sum.add(line.minor),
            None => {
                let mut sum = RoleSum { role: &line.role, accounts: 0, received: 0, paid: 0 };
                sum.add(line.minor);
                roles.push(sum);
            }
        }
    }
    let off_by = all.received + all.paid;
    let (class, verdict) = match off_by {
        0 => ("balanced", "Sums to zero: nothing was created or lost.".to_owned()),
        _ => {
            let amount = number::amount(off_by);
            ("unbalanced", format!("Does not sum to zero: off by {amount} {currency}."))
        }
    };
    let rows: String = roles
        .iter()
        .map(|sum| {
            let role = html::escape(sum.role);
            format!("<tr><th scope=\"row\" class=\"text\">{role}</th>{}</tr>\n", sum.cells())
        })
        .collect();
    let body = format!(
        "<div class=\"scroll\">\n<table class=\"money\">\n<caption>Amounts in {}</caption>\n\
         <thead>\n<tr><th scope=\"col\" class=\"text\">role</th><th scope=\"col\">accounts</th>\
         <th scope=\"col\">received</th><th scope=\"col\">paid</th>\
         <th scope=\"col\">net</th></tr>\n\
         </thead>\n<tbody>\n{rows}</tbody>\n<tfoot>\n\
         <tr class=\"{class}\"><th scope=\"row\" class=\"text\">{}</th>{}</tr>\n</tfoot>\n\
         </table>\n</div>\n<p class=\"verdict {class}\">{}</p>\n{}",
        html::escape(currency),
        all.role,
        all.cells(),
        html::escape(&verdict),
        accounts_table(lines, currency),
    );
    let lead = match lines {
        [] => "No money moved.",
        _ => "What the accounts of each role received and paid, after netting.",
    };
    html::section("money", "Money", lead, &body)
}

fn accounts_table(lines: &[MoneyLine], currency: &str) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            vec![line.role.clone(), line.account.clone(), number::amount(line.minor.into())]
        })
        .collect();
    html::data_table("Accounts as a table", &["role", "account", currency], 2, &rows)
}
