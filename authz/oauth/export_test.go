package oauth

// Public is public, for tests.
var Public = public
