// Issuers in a process of their own, whose clock can be off: see tests/providers/oidc-provider/start.

import { startIssuers } from "./issuers.mjs";

const clients = JSON.parse(process.env.CLIENTS);
/** What oidc-provider does by default: scopes release claims at UserInfo, not in the ID token. */
const userInfoOnly = {
  conformIdTokenClaims: true,
  claims: { openid: ["sub"], profile: ["name", "preferred_username"], email: ["email", "email_verified"] },
};
await startIssuers({
  port: Number(process.env.PORT),
  issuers: [
    { name: "userinfo", clients, configuration: userInfoOnly },
    { name: "pushed", clients, par: "required" },
  ],
});
