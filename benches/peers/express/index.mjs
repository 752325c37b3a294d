// A relying party of express-openid-connect: every page needs a sign-in at ISSUER. Sessions live in encrypted cookies.
import express from "express";
import { auth } from "express-openid-connect";

const port = Number(process.env.PORT);
const app = express();
app.use(
  auth({
    issuerBaseURL: process.env.ISSUER,
    baseURL: `http://localhost:${port}`,
    clientID: process.env.CLIENT_ID,
    clientSecret: process.env.CLIENT_SECRET,
    secret: process.env.CLIENT_SECRET,
    authorizationParams: { response_type: "code", scope: "openid profile email" },
  }),
);
app.get("/", (request, response) => response.send(`<h1>Hello ${request.oidc.user.sub}</h1>`));
app.listen(port, "127.0.0.1");
