package telemetry

// ExportError is what the SDK's error handler calls.
func ExportError(t *Telemetry, err error) { t.exportError(err) }
