//! Everything can be done without a mouse.

use fantoccini::key::Key;
use test_support::{run, unique};

use crate::{
    browser::{Browser, Scripts, with_browser},
    world::{World, user},
};

/// The most steps to anything on these pages.
const STEPS: usize = 30;

#[test]
fn a_namespace_is_registered_and_shared_with_the_keyboard_alone() {
    run(async {
        let world = World::shared().await;
        let (jane, joe, name) = (user("jane"), user("joe"), unique("keys"));
        with_browser(world, Scripts::On, async |browser| {
            browser.be(&jane).await;
            press(browser, Key::Tab).await;
            browser.shows("a:focus", "Skip to the content").await;
            press(browser, Key::Enter).await;
            tab_to(browser, "main a[href='/kfam/ui/register']").await;
            press(browser, Key::Enter).await;
            tab_to(browser, "#name").await;
            browser.fill("#name:focus", &name).await;
            press(browser, Key::Enter).await;
            browser.shows("#status", "Ready").await;
            browser.find("#who").await;
            tab_to(browser, "#who").await;
            let field = browser.client.active_element().await.unwrap();
            field.send_keys(&joe).await.unwrap();
            press(browser, Key::Enter).await;
            browser.shows("tbody", &joe).await;
            tab_to(browser, "tbody a.danger").await;
            press(browser, Key::Enter).await;
            browser.shows("h1", "Remove").await;
            tab_to(browser, "main button").await;
            press(browser, Key::Enter).await;
            browser.shows("main", "Removed.").await;
        })
        .await;
    });
}

async fn press(browser: &Browser, key: Key) {
    let focused = browser.client.active_element().await.unwrap();
    focused.send_keys(&char::from(key).to_string()).await.unwrap();
}

/// Steps through the page until an element has the focus, and asserts that each one that has it shows that.
async fn tab_to(browser: &Browser, css: &str) {
    browser.find(css).await;
    for _ in 0..STEPS {
        press(browser, Key::Tab).await;
        let shown = "const it = document.activeElement; return it === document.body || getComputedStyle(it).outlineStyle !== 'none'";
        assert_eq!(browser.run(shown).await, true, "the focus is not to be seen");
        if browser.run(&format!("return document.activeElement.matches(\"{css}\")")).await == true {
            return;
        }
    }
    panic!("{css} is not reached within {STEPS} steps");
}
