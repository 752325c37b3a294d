# Lo que leen los clientes, en español: de usted, y neutro para toda América. A "biller" is «facturador», the word of the
# payment services of the region; the recovery page says what it means.

language = Español

## Around every page

skip = Saltar al contenido principal
for-biller = para { $biller }
help-heading = ¿Necesita ayuda? Pregunte a { $name }
help-more = Más ayuda para iniciar sesión
reference = Código de referencia:
reference-hint = Menciónelo si llama al servicio de ayuda.
title-error = Error: { $title }
contact-phone = Teléfono
contact-email = Correo electrónico
contact-hours = Horario de atención
contact-pay = Otra forma de pagar
pay-heading = Si necesita pagar ahora
pay-call = Llame a { $name }:
pay-or-call = O llame a { $name }:

## Ways on

action-try-again = Intentar de nuevo
action-back-to-sign-in = Volver al inicio de sesión
action-find-biller = Buscar mi facturador
action-continue = Continuar
action-forgot-username = Olvidé mi nombre de usuario
action-help = Ayuda para iniciar sesión
action-continue-to-sign-in = Continuar al inicio de sesión
action-other-biller = Iniciar sesión en otro facturador
action-search = Buscar
action-reset-password = Restablecer mi contraseña
action-sign-in = Iniciar sesión
action-sign-in-page = Ir a la página de inicio de sesión
action-sign-in-again = Iniciar sesión otra vez
action-sign-out = Cerrar sesión
action-contact = Preguntar a { $name }

## The username, and what can be wrong with it

username = Nombre de usuario
username-hint = Use el nombre de usuario con el que paga su factura. Puede ser su correo electrónico.
form-error-heading = Hay un problema
form-error-prefix = Error:
username-empty = Escriba su nombre de usuario
username-too-long = Escriba un nombre de usuario más corto: ninguno tiene más de 254 caracteres
username-invalid-characters = Escriba su nombre de usuario sin saltos de línea ni otros caracteres invisibles

## The first page

login = Iniciar sesión
    .text = Empiece con su nombre de usuario. Le llevaremos a la página correcta para escribir su contraseña.
login-forgot-password = ¿Olvidó su contraseña?
login-cannot-sign-in = Sigo sin poder iniciar sesión
login-remembered = Continuar a { $biller }
login-or-username = O empiece con su nombre de usuario
remember = Recordar mi facturador en este dispositivo
    .text = Guardaremos su facturador en una cookie de este dispositivo durante seis meses. No guardaremos su nombre de usuario ni su contraseña. No marque la casilla si otras personas usan este dispositivo.
forget-billers = Olvidar mis facturadores en este dispositivo
billers-forgotten = Este dispositivo ya no recuerda ningún facturador.

## The notice that a biller has a page of its own

notice = { $biller } tiene una nueva página de inicio de sesión
notice-address = De ahora en adelante, inicie sesión en { $biller } en esta dirección. Puede comprobarla en su factura.
notice-save = Guarde esta dirección ahora.
notice-save-how = Cópiela en sus marcadores o favoritos en lugar de la anterior. Guarde la dirección que ve aquí, no la de la página que se abre después.
notice-password-same = Su nombre de usuario y su contraseña no cambian. Si su navegador no le ofrece la contraseña guardada, busque “{ $company }” entre sus contraseñas guardadas.
notice-password-new = Su nombre de usuario no cambia. La primera vez se le pedirá que elija una contraseña nueva.
notice-continue = Continuar al inicio de sesión de { $biller }
notice-short = Inicie sesión en { $biller }
notice-reminder = Recuerde que tiene su propia dirección de inicio de sesión:
notice-not-mine = Este no es mi facturador

## The ways back in

recover-requested = ¿Tiene problemas para iniciar sesión?
    .text = Elija la opción que corresponda a su problema.
recover-choose-biller = ¿En qué facturador quiere iniciar sesión?
    .text = Necesitamos saberlo porque cada facturador tiene su propia página de inicio de sesión.
recover-legacy-failed = No pudimos iniciar su sesión
    .text = El nombre de usuario o la contraseña no son correctos. Intente de nuevo o restablezca su contraseña. Si paga más de una factura con nosotros, o si su facturador tiene una nueva página de inicio de sesión, busque su facturador.
recover-unknown-biller = No conocemos esa dirección de inicio de sesión
    .text = La dirección que usó no corresponde a ningún facturador que conozcamos. Quizás esté mal escrita o ya no esté vigente.
recover-reset = Si no tiene dudas sobre su nombre de usuario, el problema puede ser la contraseña.
recover-remembered = Este dispositivo recuerda:
recover-biller = Su facturador es la empresa u oficina que le envía la factura. Puede que tenga su propia página de inicio de sesión.
recover-biller-how = Busque su facturador por su nombre o use la dirección impresa en su factura.
recover-search = Nombre de su facturador
recover-search-hint = Como aparece impreso en su factura. Basta con una parte.
recover-search-empty = Escriba el nombre de su facturador
recover-search-results = ¿Es alguno de estos facturadores?
    .text = Elija el suyo para continuar a su página de inicio de sesión.
recover-no-search-results = No encontramos ningún facturador con ese nombre
    .text = Compárelo con el nombre que aparece en su factura o escriba solo la palabra principal. También puede usar la dirección impresa en su factura.
recover-biller-forgotten = ¿Olvidó su nombre de usuario o no encuentra la dirección?
recover-biller-contact = Su facturador también puede decirle su nombre de usuario y la dirección.

## Sign-in links by mail

links = Recibir mi nombre de usuario y mis enlaces de inicio de sesión por correo electrónico
    .text = Le enviaremos la página de inicio de sesión de cada uno de sus facturadores, con el nombre de usuario que tiene allí.
links-identifier = Correo electrónico o nombre de usuario
links-identifier-hint = El mensaje se envía a la dirección registrada en su cuenta.
links-empty = Escriba su correo electrónico o su nombre de usuario
links-send = Enviarme el mensaje
links-sent = Revise su correo electrónico
    .text = Si esa dirección o ese nombre de usuario corresponde a una cuenta, ya le hemos enviado un mensaje con sus enlaces de inicio de sesión. Puede tardar unos minutos.
links-sent-not-received = ¿No le llegó nada? Revise la carpeta de correo no deseado o intente con otra dirección: quizás sea la que tiene su facturador.
links-sent-try-another = Intentar con otra dirección

## A new password

reset = Restablezca su contraseña
    .text = Díganos su nombre de usuario y le mostraremos cómo elegir una contraseña nueva.
reset-sent = Cómo elegir una contraseña nueva
reset-mail = Revise su correo electrónico
    .text = Si ese nombre de usuario pertenece a un facturador con su propia página de inicio de sesión, hemos enviado un mensaje al correo electrónico de la cuenta. Puede tardar unos minutos. El mensaje explica cómo elegir una contraseña nueva; si son varios facturadores, indica la página de inicio de sesión de cada uno.
reset-mail-not-received = ¿No le llegó nada después de unos minutos? Revise la carpeta de correo no deseado.
reset-legacy = Si inicia sesión en el sitio de { $company }
reset-legacy-how = Continúe para restablecerla allí. Enviaremos su nombre de usuario para que no tenga que escribirlo otra vez.
reset-legacy-action = Restablecerla en { $company }
reset-back = Volver al inicio de sesión de { $name }
reset-external = Su contraseña de { $biller }
reset-external-how = Usted inicia sesión en { $biller } con una cuenta que se administra en otro lugar, como la que usa en su trabajo. No podemos cambiar esa contraseña. Elija una nueva donde la escribe: continúe a la página de inicio de sesión y elija allí la opción para contraseñas olvidadas.

## Help

help = Ayuda para iniciar sesión
help-for = Ayuda para iniciar sesión en { $biller }
help-password = Olvidé mi contraseña
help-password-how = Para eso necesita su nombre de usuario.
help-username = Olvidé mi nombre de usuario
help-username-how = Puede ser su correo electrónico. Su facturador también puede decírselo.
help-new-address = Mi facturador tiene una nueva página de inicio de sesión
help-new-address-how = La dirección está en su factura y en el sitio web de su facturador.
help-authenticity = ¿Es auténtica esta página?
help-authenticity-how = Aquí nunca le pedimos su contraseña, y nadie debería pedírsela por teléfono ni por correo electrónico. Si tiene dudas, escriba la dirección que aparece en su factura.
help-contact = Hable con una persona
help-contact-how = Si tiene preguntas sobre su factura o su cuenta, diríjase a su facturador. Si son sobre el inicio de sesión, diríjase a nosotros. Si una página le mostró un error, tenga a mano el código de referencia que aparece al final: nos indica lo que pasó.
help-contact-biller = ¿Tiene preguntas sobre su factura o su cuenta?
help-contact-company = Sobre el inicio de sesión, también puede preguntar a { $company }:

## Not now

paused = El inicio de sesión está en pausa
    .text = Lo sentimos, en este momento no puede iniciar sesión. Lo pusimos en pausa mientras resolvemos un problema. Usted no hizo nada mal, y su nombre de usuario no cambia.
paused-biller = El inicio de sesión en { $biller } está en pausa
paused-when = Intente de nuevo más tarde.
outage = Lo sentimos, hay un problema para iniciar sesión en { $biller }
outage-why = La página de inicio de sesión de { $biller } no responde en este momento. Usted no hizo nada mal, y su nombre de usuario y su contraseña no cambian.
outage-when = Intente de nuevo en unos minutos.
outage-planned = Lo sentimos, el inicio de sesión en { $biller } no está disponible
outage-planned-until = Podrá volver a iniciar sesión a partir del { $until }.
outage-planned-why = Hasta entonces se realizan trabajos programados en la página de inicio de sesión de { $biller }. Su nombre de usuario y su contraseña no cambian.
date-time = { $weekday ->
        [monday] lunes
        [tuesday] martes
        [wednesday] miércoles
        [thursday] jueves
        [friday] viernes
        [saturday] sábado
       *[sunday] domingo
    } { $day } de { $month ->
        [january] enero
        [february] febrero
        [march] marzo
        [april] abril
        [may] mayo
        [june] junio
        [july] julio
        [august] agosto
        [september] septiembre
        [october] octubre
        [november] noviembre
       *[december] diciembre
    } de { $year } { $hour ->
        [1] a la
       *[other] a las
    } { $hour }:{ $minute } { $period ->
        [am] a. m.
       *[pm] p. m.
    } ({ $zone })

## Signed in, signed out

choose-portal = ¿A dónde quiere ir?
    .text = Tiene la sesión iniciada en más de un facturador.
logout = Cerrar sesión
logout-not-signed-in = No tiene la sesión iniciada en ningún facturador en este navegador.
logout-session-count = Tiene la sesión iniciada en { $count ->
        [one] un facturador
       *[other] { $count } facturadores
    } en este navegador.
logout-of = Cerrar sesión en { $biller }
logout-stay = Mantener la sesión iniciada
signed-out = Su sesión está cerrada
    .text = Si otras personas usan este dispositivo, cierre también el navegador.
signed-out-of = Su sesión en { $biller } está cerrada
signed-out-unconfirmed = La página de inicio de sesión de { $biller } no confirmó el cierre de la sesión. Si otras personas usan este dispositivo, cierre también el navegador.
signed-out-remaining = Todavía tiene la sesión iniciada en otros facturadores
signed-out-remaining-action = Cerrar sesión también en estos facturadores

## In mails

mail-links = Sus páginas de inicio de sesión en { $company }
mail-links-reason = Alguien, esperamos que usted, preguntó a { $company } dónde puede iniciar sesión.
mail-links-list = Estos son sus facturadores:
mail-links-save = Guarde las direcciones o cópielas de su factura. No cambiarán. No contienen ninguna contraseña, y abrirlas no inicia la sesión de nadie.
mail-login-address = { $biller } tiene su propia página de inicio de sesión
mail-login-address-how = Desde ahora sus clientes inician sesión en { $company } en su propia dirección. No cambiará, así que pueden imprimirla:
mail-login-address-publish = Pónganla en sus facturas y en su sitio web, en lugar de la anterior.
mail-login-address-legacy = Los clientes que todavía usen la dirección anterior verán allí la nueva y podrán continuar.
mail-no-account = No hay ninguna cuenta en { $company } con este correo electrónico
mail-no-account-text = No hay ninguna cuenta con este correo electrónico.
mail-no-account-help = Quizás le dio otra dirección a su facturador. Su facturador puede decirle cuál es, o puede verla en el último mensaje que recibió de él.
mail-reset-reason = Alguien, esperamos que usted, pidió una contraseña nueva para { $biller }.
mail-reset-external = { $company } no guarda esa contraseña. La nueva se elige en la página donde usted la escribe. Empiece aquí:
mail-not-requested = Si usted no lo pidió, no tiene que hacer nada.
mail-not-requested-unchanged = Si usted no lo pidió, no tiene que hacer nada: no se cambió nada.
mail-sign-in = Inicie sesión en:

## What went wrong, in general

error-cross-site = Esta solicitud vino de otro sitio
    .text = Por su seguridad, solo aceptamos formularios de nuestras propias páginas. Empiece desde nuestra página de inicio de sesión.
error-not-found = Esta página no existe
    .text = Quizás la dirección esté mal escrita o ya no esté vigente. Puede iniciar sesión desde nuestra página de inicio de sesión.
error-method-not-allowed = Esta página no se puede usar de esa manera
    .text = Empiece desde nuestra página de inicio de sesión.
error-request-timeout = Eso tardó demasiado
    .text = La conexión fue demasiado lenta. Intente de nuevo.
error-payload-too-large = Eso era demasiado largo
    .text = Los datos enviados superan lo que permiten nuestros formularios. Intente de nuevo.
error-unsupported-media-type = Este formulario no lo envió un navegador
    .text = Use el formulario de nuestra página de inicio de sesión.
error-unknown-host = Esta dirección no es nuestra
    .text = Este servidor no atiende la dirección que usó. Revísela o vaya a nuestra página de inicio de sesión.
error-rate-limited = Demasiados intentos
    .text = Hubo demasiados intentos desde su conexión o con este nombre de usuario. Espere unos minutos e intente de nuevo.
error-headers-too-large = Su navegador envió demasiados datos
    .text = Borre las cookies de este sitio e intente de nuevo.
error-service-unavailable = Lo sentimos, hay un problema
    .text = El inicio de sesión no funciona en este momento. Intente de nuevo en unos minutos.
error-bad-request = No pudimos entender eso
    .text = Algo de la solicitud no es válido. Empiece desde nuestra página de inicio de sesión.
error-internal-error = Lo sentimos, hay un problema
    .text = Algo falló de nuestro lado. Intente de nuevo en unos minutos.
error-unknown-biller = No conocemos esta dirección
    .text = Ningún facturador tiene esta dirección. Quizás esté mal escrita o ya no esté vigente.
error-invalid-link = Este enlace no es válido
    .text = El enlace se modificó o se cortó en el camino. Puede continuar a la página de inicio de sesión sin él.

## What went wrong after a biller's sign-in page

error-not-completed = No pudimos completar su inicio de sesión
    .text = Inicie sesión otra vez.
error-already-used = Este inicio de sesión ya se usó
    .text = Cada inicio de sesión sirve una sola vez. Si volvió atrás o recargó la página, simplemente inicie sesión otra vez.
error-authorization-request-not-found = Su navegador no conservó este inicio de sesión
    .text = Permita las cookies de este sitio e intente de nuevo. No cambie de navegador hasta que haya iniciado sesión.
error-biller-not-active = Esta página de inicio de sesión no está en uso ahora
    .text = En este momento su facturador no acepta inicios de sesión de esta manera. Le llevaremos a la página correcta.
error-cancelled = No inició sesión
    .text = Se canceló el inicio de sesión. Puede intentarlo de nuevo cuando quiera.
error-interaction-required = Inicie sesión otra vez
    .text = La página de su facturador necesita que inicie sesión de nuevo.
error-provider-unavailable = Lo sentimos, hay un problema
    .text = La página de inicio de sesión de su facturador no funciona en este momento. Intente de nuevo en unos minutos.
error-provider-denied = El inicio de sesión no funcionó
    .text = Inicie sesión otra vez.
error-provider-failed = El inicio de sesión no funcionó
    .text = No se pudo completar su inicio de sesión. Su contraseña no tiene ningún problema. Intente de nuevo.
error-setup-fault = El inicio de sesión de { $biller } no funciona
    .text = No es culpa suya, e intentarlo de nuevo no servirá. Comuníquese con el servicio de ayuda e indique el código de referencia.
error-not-a-member = No encontramos su cuenta
    .text = Inició sesión, pero no tenemos una cuenta a su nombre con este facturador. Si paga facturas de más de una empresa, quizás este no sea el facturador correcto.
error-portal-redirect-loop = { $biller } le envió de vuelta aquí
    .text = Inició sesión, pero el sitio de su facturador no le dejó entrar y le envió de vuelta aquí. Permita las cookies de ese sitio e intente de nuevo. Si vuelve a ocurrir, comuníquese con su facturador e indique el código de referencia.
error-legacy-redirect-loop = La página de inicio de sesión de { $biller } le envió de vuelta aquí
    .text = Le llevamos a la página de inicio de sesión, pero esta le envió de vuelta aquí. Intente de nuevo. Si vuelve a ocurrir, comuníquese con el servicio de ayuda e indique el código de referencia.
error-user-not-active = Su cuenta no se puede usar en este momento
    .text = Inició sesión, pero su cuenta no está activa. Comuníquese con el servicio de ayuda e indique el código de referencia.
