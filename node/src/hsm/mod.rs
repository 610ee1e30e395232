//! Signing keys: made, checked and used in an HSM (PKCS#11) or in a sealed file.
