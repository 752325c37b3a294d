# The texts that customers read, in English. Every other catalogue has the same messages with the same variables; a test checks it.

# The language's own name, on the link that leads to it.
language = English

## Around every page

skip = Skip to main content
for-biller = for { $biller }
help-heading = Need help? Contact { $name }
help-more = More help with signing in
reference = Reference code:
reference-hint = Give this code to support if you call.
title-error = Error: { $title }
contact-phone = Phone
contact-email = Email
contact-hours = Hours
contact-pay = Another way to pay
pay-heading = If you need to pay now
pay-call = Call { $name }:
pay-or-call = Or call { $name }:

## Ways on

action-try-again = Try again
action-back-to-sign-in = Back to sign-in
action-find-biller = Find my biller
action-continue = Continue
action-forgot-username = I forgot my username
action-help = Get help signing in
action-continue-to-sign-in = Continue to sign in
action-other-biller = Sign in to another biller
action-search = Search
action-reset-password = Reset my password
action-sign-in = Sign in
action-sign-in-page = Go to the sign-in page
action-sign-in-again = Sign in again
action-sign-out = Sign out
action-contact = Contact { $name }

## The username, and what can be wrong with it

username = Username
username-hint = Use the username you pay your bill with. It may be your email address.
form-error-heading = There is a problem
form-error-prefix = Error:
username-empty = Enter your username
username-too-long = Enter a shorter username: no username has more than 254 characters
username-invalid-characters = Enter your username without line breaks or other invisible characters

## The first page

login = Sign in
    .text = Start with your username. We’ll take you to the right page to enter your password.
login-forgot-password = Forgot password?
login-cannot-sign-in = I still can’t sign in
login-remembered = Continue to { $biller }
login-or-username = Or start with your username
remember = Remember my biller on this device
    .text = We’ll store your biller in a cookie on this device for six months. We won’t store your username or password. Don’t select this on a shared device.
forget-billers = Forget my billers on this device
billers-forgotten = This device no longer remembers any billers.

## The notice that a biller has a page of its own

notice = { $biller } has a new sign-in page
notice-address = From now on, sign in to { $biller } at this address. You can check it on your bill.
notice-save = Save this address now.
notice-save-how = Copy it into your bookmarks in place of the old one. Save the address shown here, not the page that opens next.
notice-password-same = Your username and password stay the same. If your browser doesn’t offer your saved password, search your saved passwords for “{ $company }”.
notice-password-new = Your username stays the same. You will be asked to choose a new password the first time.
notice-continue = Continue to { $biller } sign-in
notice-short = Sign in to { $biller }
notice-reminder = Remember, it has its own sign-in address:
notice-not-mine = This isn’t my biller

## The ways back in

recover-requested = Having trouble signing in?
    .text = Choose the option that fits your problem.
recover-choose-biller = Which biller do you want to sign in to?
    .text = We need to know which biller, because each has a sign-in page of its own.
recover-legacy-failed = We couldn’t sign you in
    .text = The username or password is not right. Try again, or reset your password. If you pay more than one bill with us, or your biller has a new sign-in page, find your biller instead.
recover-unknown-biller = We don’t know that sign-in address
    .text = The address you used doesn’t belong to any biller we know. It may be mistyped or out of date.
recover-reset = If you are sure of your username, the problem may be your password.
recover-remembered = This device remembers:
recover-biller = Your biller is the company or office that sends you the bill. It may have a sign-in page of its own.
recover-biller-how = Search for your biller by its name, or use the address printed on your bill.
recover-search = Your biller’s name
recover-search-hint = As printed on your bill. You can enter part of the name.
recover-search-empty = Enter your biller’s name
recover-search-results = Is it one of these billers?
    .text = Choose yours to go to its sign-in page.
recover-no-search-results = We found no biller with that name
    .text = Check the name on your bill, or enter only its main word. You can also use the address printed on your bill.
recover-biller-forgotten = Forgot your username, or can’t find the address?
recover-biller-contact = Your biller can also tell you your username and the address.

## Sign-in links by mail

links = Email me my username and sign-in links
    .text = We’ll send you the sign-in page of each of your billers, and your username there.
links-identifier = Email address or username
links-identifier-hint = The message goes to the address on your account.
links-empty = Enter your email address or username
links-send = Send me the message
links-sent = Check your email
    .text = If that address or username is on an account, we’ve sent a message with your sign-in links. It can take a few minutes.
links-sent-not-received = Didn’t get it? Check your junk folder, or try another address: your biller may have a different one.
links-sent-try-another = Try another address

## A new password

reset = Reset your password
    .text = Tell us your username, and we’ll show you how to choose a new password.
reset-sent = How to choose a new password
reset-mail = Check your email
    .text = If that username belongs to a biller with a sign-in page of its own, we’ve sent a message to the email address on the account. It can take a few minutes. It says how to choose a new password; for several billers it lists their sign-in pages.
reset-mail-not-received = Didn’t get it after a few minutes? Check your junk folder.
reset-legacy = If you sign in on the { $company } site
reset-legacy-how = Continue there to reset it. We’ll pass on your username, so you don’t have to type it again.
reset-legacy-action = Reset it at { $company }
reset-back = Back to { $name } sign-in
reset-external = Your password for { $biller }
reset-external-how = You sign in to { $biller } with an account that is kept elsewhere, such as the one you use at work. We can’t change its password. Choose a new one where you type it: continue to the sign-in page, and choose “Forgot password” there.

## Help

help = Get help signing in
help-for = Get help signing in to { $biller }
help-password = I forgot my password
help-password-how = You’ll need your username.
help-username = I forgot my username
help-username-how = It may be your email address. Your biller can tell you, too.
help-new-address = My biller has a new sign-in page
help-new-address-how = Its address is on your bill and on your biller’s website.
help-authenticity = Is this page real?
help-authenticity-how = We never ask for your password here, and no one should ask you for it by phone or email. If you’re not sure, type the address from your bill.
help-contact = Talk to someone
help-contact-how = If you have a question about your bill or account, contact your biller. If you have a question about signing in, contact us. If a page showed an error, have the reference code at the bottom of it ready. It tells us what happened.
help-contact-biller = Questions about your bill or account?
help-contact-company = For questions about signing in, you can also contact { $company }:

## Not now

paused = Signing in is paused
    .text = Sorry, you can’t sign in right now. We have paused it while we fix a problem. You did nothing wrong, and your username stays the same.
paused-biller = Signing in to { $biller } is paused
paused-when = Try again later.
outage = Sorry, there is a problem with signing in to { $biller }
outage-why = The sign-in page of { $biller } isn’t answering at the moment. You did nothing wrong, and your username and password stay the same.
outage-when = Try again in a few minutes.
outage-planned = Sorry, signing in to { $biller } is unavailable
outage-planned-until = You will be able to sign in again from { $until }.
outage-planned-why = The sign-in page of { $biller } is down for planned maintenance until then. Your username and password stay the same.
date-time = { $weekday ->
        [monday] Monday
        [tuesday] Tuesday
        [wednesday] Wednesday
        [thursday] Thursday
        [friday] Friday
        [saturday] Saturday
       *[sunday] Sunday
    }, { $month ->
        [january] January
        [february] February
        [march] March
        [april] April
        [may] May
        [june] June
        [july] July
        [august] August
        [september] September
        [october] October
        [november] November
       *[december] December
    } { $day }, { $year }, { $hour }:{ $minute } { $period ->
        [am] am
       *[pm] pm
    } ({ $zone })

## Signed in, signed out

choose-portal = Where do you want to go?
    .text = You are signed in to more than one biller.
logout = Sign out
logout-not-signed-in = You are not signed in to any biller in this browser.
logout-session-count = You are signed in to { $count ->
        [one] one biller
       *[other] { $count } billers
    } in this browser.
logout-of = Sign out of { $biller }
logout-stay = Stay signed in
signed-out = You are signed out
    .text = If other people use this device, close the browser too.
signed-out-of = You are signed out of { $biller }
signed-out-unconfirmed = The sign-in page of { $biller } did not confirm the sign-out. If other people use this device, close the browser too.
signed-out-remaining = You are still signed in to other billers
signed-out-remaining-action = Sign out of these billers too

## In mails

mail-links = Your sign-in pages at { $company }
mail-links-reason = Someone, hopefully you, asked { $company } where you sign in.
mail-links-list = These are your billers:
mail-links-save = Save the addresses, or type them from your bill. They won’t change. They contain no password, and opening them does not sign anyone in.
mail-login-address = { $biller } has its own sign-in page
mail-login-address-how = From now on your customers sign in to { $company } at your own address. It won’t change, so you can print it:
mail-login-address-publish = Please put it on your bills and on your website, in place of the old one.
mail-login-address-legacy = Customers who still use the old address will see the new one there and can continue.
mail-no-account = No account at { $company } with this email address
mail-no-account-text = There is no account with this email address.
mail-no-account-help = You may have given your biller a different address. Ask your biller, or check the last message you received from them.
mail-reset-reason = Someone, hopefully you, asked for a new password for { $biller }.
mail-reset-external = { $company } does not store that password. You choose a new one on the page where you enter it. Start from here:
mail-not-requested = If you did not ask for this, you don’t need to do anything.
mail-not-requested-unchanged = If you did not ask for this, you don’t need to do anything. Nothing has changed.
mail-sign-in = Sign in at:

## What went wrong, in general

error-cross-site = This request came from another site
    .text = For your security we only accept forms from our own pages. Please start from our sign-in page.
error-not-found = This page does not exist
    .text = The address may be mistyped or out of date. You can sign in from our sign-in page.
error-method-not-allowed = This page cannot be used that way
    .text = Please start from our sign-in page.
error-request-timeout = That took too long
    .text = The connection was too slow. Please try again.
error-payload-too-large = That was too long
    .text = The data sent is longer than any of our forms allows. Please try again.
error-unsupported-media-type = This form was not sent by a browser
    .text = Please use the form on our sign-in page.
error-unknown-host = This address is not ours
    .text = This server does not serve the address you used. Please check it, or go to our sign-in page.
error-rate-limited = Too many attempts
    .text = There were too many attempts from your connection or with this username. Please wait a few minutes and try again.
error-headers-too-large = Your browser sent too much
    .text = Please delete the cookies of this site and try again.
error-service-unavailable = Sorry, there is a problem
    .text = Signing in isn’t working at the moment. Please try again in a few minutes.
error-bad-request = We could not understand that
    .text = Something in the request was not valid. Please start from our sign-in page.
error-internal-error = Sorry, there is a problem
    .text = Something went wrong on our side. Please try again in a few minutes.
error-unknown-biller = We don’t know this address
    .text = No biller has this address. It may be mistyped or out of date.
error-invalid-link = This link is not valid
    .text = The link was changed or cut off on its way to you. You can continue to the sign-in page without it.

## What went wrong after a biller's sign-in page

error-not-completed = We could not complete your sign-in
    .text = Please sign in again.
error-already-used = This sign-in was already used
    .text = Each sign-in works once. If you went back or reloaded the page, just sign in again.
error-authorization-request-not-found = Your browser did not keep this sign-in
    .text = Please allow cookies for this site, and try again. Stay in one browser until you are signed in.
error-biller-not-active = This sign-in page is not in use at the moment
    .text = Your biller does not accept sign-ins this way at the moment. We will take you to the right page.
error-cancelled = You did not sign in
    .text = Signing in was cancelled. You can try again at any time.
error-interaction-required = Please sign in again
    .text = Your biller’s sign-in page needs you to sign in again.
error-provider-unavailable = Sorry, there is a problem
    .text = Your biller’s sign-in page isn’t working at the moment. Please try again in a few minutes.
error-provider-denied = Signing in did not work
    .text = Please sign in again.
error-provider-failed = Signing in did not work
    .text = Your sign-in could not be completed. There is nothing wrong with your password. Please try again.
error-setup-fault = Signing in at { $biller } is not working
    .text = This is not your fault, and trying again will not help. Please contact support and give them the reference code.
error-not-a-member = We could not find your account
    .text = You signed in, but we have no account for you at this biller. If you pay bills from more than one company, this may be the wrong one.
error-portal-redirect-loop = { $biller } sent you back to us
    .text = You signed in, but your biller’s site didn’t let you in and sent you back here. Allow cookies for its site, and try again. If it happens again, contact your biller and give them the reference code.
error-legacy-redirect-loop = The sign-in page of { $biller } sent you back to us
    .text = We took you to the page where you sign in, but it sent you back here. Try again. If it happens again, contact support and give them the reference code.
error-user-not-active = Your account cannot be used at the moment
    .text = You signed in, but your account is not active. Please contact support and give them the reference code.
