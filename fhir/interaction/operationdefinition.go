package interaction

import (
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/fhir"
)

//go:embed official/operationdefinition.json.gz
var officialOperations []byte

// officialBodies are the definitions of the served operations by id.
var officialBodies = sync.OnceValue(func() map[string][]byte {
	bodies, err := readOfficial(officialOperations)
	if err != nil {
		panic(fmt.Sprintf("interaction: embedded OperationDefinitions: %v", err)) // a broken build
	}
	return bodies
})

func readOfficial(blob []byte) (map[string][]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(blob))
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	list, err := fhir.ParseValue(b, fhir.DefaultLimits)
	if err != nil {
		return nil, err
	}
	bodies := map[string][]byte{}
	for i := range list.Len() {
		bodies[list.At(i).Member("id").Text()] = list.At(i).AppendJSON(nil)
	}
	return bodies, nil
}

// official is the definition of a served operation, which the
// CapabilityStatement names, nil when there is none for the caller. One that
// was stored under the same id takes its place.
func (s *Service) official(g authz.Grant, resourceType, id, version string) []byte {
	if resourceType != "OperationDefinition" || version != "" || g.Mask(authz.Facts{}) == 0 {
		return nil
	}
	if body := s.ownDefinition(id); body != nil {
		return body
	}
	return officialBodies()[id]
}

func (s *Service) answerOfficial(ctx context.Context, c Call, g authz.Grant, ev audit.Event, body []byte) (*Answer, error) {
	receipt, err := s.durable(ctx, c, ev)
	if err != nil {
		return nil, failure(err)
	}
	return s.release(c, g, receipt, Answer{status: http.StatusOK, body: body})
}
