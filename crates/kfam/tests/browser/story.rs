//! What people do: register, share, stop sharing; and what others see of it. Told twice: with and without JavaScript.

use fantoccini::Locator;
use test_support::{run, unique};

use crate::{
    browser::{Browser, Scripts, with_browser},
    world::{ADMIN, World, user},
};

#[test]
fn a_user_registers_and_shares_and_others_see_what_is_theirs() {
    run(async {
        let world = World::shared().await;
        with_browser(world, Scripts::On, async |browser| tell(browser, Scripts::On).await).await;
    });
}

#[test]
fn all_of_it_works_without_javascript() {
    run(async {
        let world = World::shared().await;
        with_browser(world, Scripts::Off, async |browser| tell(browser, Scripts::Off).await).await;
    });
}

async fn tell(browser: &Browser, scripts: Scripts) {
    let (jane, joe, eve) = (user("jane"), user("joe"), user("eve"));
    let name = unique("vision");
    registers(browser, scripts, &jane, &name).await;
    shares(browser, &jane, &joe, &name).await;
    changes_the_role(browser, &jane, &joe, &name).await;
    sees_nothing(browser, &eve, &name).await;
    searches(browser, &name, &jane).await;
    stops_sharing(browser, &jane, &joe, &name).await;
}

async fn registers(browser: &Browser, scripts: Scripts, jane: &str, name: &str) {
    browser.be(jane).await;
    browser.shows("main", "You have no namespace yet").await;
    browser.click("Register a namespace").await;
    let suggested = jane.split('@').next().unwrap();
    assert_eq!(browser.value("#name").await, suggested, "a name is suggested");
    // The name of a namespace that the platform has for itself.
    browser.fill("#name", "kube-system").await;
    if scripts == Scripts::On {
        browser.shows("#name-answer.bad", "reserved").await;
    }
    browser.click("Register").await;
    browser.shows("[role=alert]", "reserved").await;
    assert_eq!(browser.value("#name").await, "kube-system", "what was typed is still there");
    browser.fill("#name", name).await;
    if scripts == Scripts::On {
        browser.shows("#name-answer.good", "is free").await;
    }
    browser.click("Register").await;
    browser.shows("main", "Registered.").await;
    assert_eq!(browser.path().await, format!("/kfam/ui/namespaces/{name}"));
    // Nobody loads the page again: it follows.
    browser.shows("#status", "Ready").await;
    browser.shows("tbody", jane).await;
    // Taken now.
    browser.go("/kfam/ui/register").await;
    browser.fill("#name", name).await;
    if scripts == Scripts::On {
        browser.shows("#name-answer.bad", "choose another name").await;
    }
    browser.click("Register").await;
    browser.shows("[role=alert]", "choose another name").await;
}

async fn shares(browser: &Browser, jane: &str, joe: &str, name: &str) {
    browser.be(jane).await;
    browser.click(name).await;
    // A name that opens the namespace to everybody is refused, and the form keeps what was typed.
    browser.fill("#who", "*").await;
    browser.click("Share").await;
    browser.shows("[role=alert]", "user.name").await;
    assert_eq!(browser.value("#who").await, "*");
    browser.fill("#who", joe).await;
    browser.choose("#role", "edit").await;
    browser.click("Share").await;
    browser.shows("main [role=status]", "Shared.").await;
    browser.shows("tbody", joe).await;
    browser.be(joe).await;
    browser.shows(".cards", name).await;
    browser.shows(".cards", "Shared with you as edit").await;
    browser.click(name).await;
    browser.shows("tbody", joe).await;
    assert!(!browser.has("main form").await, "joe may not share it");
    assert!(!browser.text("main tbody").await.unwrap().contains(jane), "joe sees his own access alone");
}

async fn changes_the_role(browser: &Browser, jane: &str, joe: &str, name: &str) {
    browser.be(jane).await;
    browser.go(&format!("/kfam/ui/namespaces/{name}")).await;
    browser.choose("tbody select", "view").await;
    browser.click(&format!("Save the role of {joe}")).await;
    browser.shows("main", "The role is changed.").await;
    browser.be(joe).await;
    browser.shows(".cards", "Shared with you as view").await;
}

async fn sees_nothing(browser: &Browser, eve: &str, name: &str) {
    browser.be(eve).await;
    browser.shows("main", "You have no namespace yet").await;
    let mut refusals = Vec::new();
    for path in [name, "there-is-none"] {
        browser.go(&format!("/kfam/ui/namespaces/{path}")).await;
        browser.shows("h1", "That is not yours to do").await;
        refusals.push(browser.text("main").await.unwrap().replace(path, "…"));
    }
    assert_eq!(refusals[0], refusals[1], "a stranger does not learn what there is");
    browser.go("/kfam/ui/profiles").await;
    browser.shows("h1", "That is not yours to do").await;
    assert!(!browser.has("nav a[href='/kfam/ui/profiles']").await);
}

async fn searches(browser: &Browser, name: &str, jane: &str) {
    browser.be(ADMIN).await;
    browser.menu("All Profiles").await;
    browser.fill("#q", &jane.to_uppercase()).await;
    browser.click("Search").await;
    browser.shows("main > [role=status]", "1 Profile").await;
    browser.shows("tbody", name).await;
    browser.shows("tbody", jane).await;
    browser.shows("tbody", "Ready").await;
    browser.choose("#state", "not-ready").await;
    browser.click("Search").await;
    browser.shows("main > [role=status]", "0 Profiles").await;
}

async fn stops_sharing(browser: &Browser, jane: &str, joe: &str, name: &str) {
    browser.be(jane).await;
    browser.click(name).await;
    browser.click(&format!("Remove {joe}")).await;
    browser.shows("h1", &format!("Remove {joe}?")).await;
    browser.click("Keep").await;
    browser.shows("tbody", joe).await;
    browser.click(&format!("Remove {joe}")).await;
    browser.click("Remove").await;
    browser.shows("main", "Removed.").await;
    let rows = browser.client.find_all(Locator::Css("tbody tr")).await.unwrap();
    assert_eq!(rows.len(), 1, "the owner is left");
    browser.be(joe).await;
    browser.shows("main", "You have no namespace yet").await;
    browser.go(&format!("/kfam/ui/namespaces/{name}")).await;
    browser.shows("h1", "That is not yours to do").await;
}
