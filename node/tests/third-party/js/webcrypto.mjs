// Node.js 18, which Debian 12 ships, has the Web Cryptography API but not as a global; the libraries
// expect the global. Import this before them.

import { webcrypto } from 'node:crypto';

globalThis.crypto ??= webcrypto;
globalThis.CryptoKey ??= webcrypto.CryptoKey;
