export { startHttpServer, type HttpServer, type HttpServerOptions } from './http-server.ts';
export { openProvider } from '../providers/open-provider.ts';
