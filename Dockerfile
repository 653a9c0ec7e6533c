FROM node:24-slim AS build
WORKDIR /attune
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY scripts ./scripts
COPY src ./src
RUN npm run build && npm ci --omit=dev

FROM node:24-slim
WORKDIR /attune
COPY --from=build /attune/package.json ./
COPY --from=build /attune/node_modules ./node_modules
COPY --from=build /attune/dist ./dist
# Another store is chosen with ATTUNE_PROVIDER; the volume then stays empty.
ENV ATTUNE_PROVIDER=embedded:/data ATTUNE_HOST=0.0.0.0 NODE_ENV=production
RUN mkdir /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 8080
ENTRYPOINT ["node", "dist/cli/main.js"]
CMD ["serve"]
