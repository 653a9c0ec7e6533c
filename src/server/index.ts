export { startHttpServer, type HttpServer, type HttpServerOptions } from './http-server.ts';
export { openProvider, serve, ServeError, type ServeOptions } from './main.ts';
