package interaction

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/redact"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// facts are what rules may know of a version.
func facts(head field.Head) authz.Facts {
	return authz.Facts{Owner: head.Owner, Patients: head.Patients, Orgs: head.Orgs, Security: head.Security, Deleted: head.Deleted}
}

// visible is the classes of a version that a grant shows; zero means that the
// version does not exist for the caller: no rule applies to it, or the mask
// would hide a modifier element (decision 18).
//
// A Binary is judged as the resource that its securityContext names; see
// binaryFacts.
func (s *Service) visible(ctx context.Context, g authz.Grant, st *sealed.Stored) field.ClassSet {
	mask := s.granted(ctx, g, st)
	if mask == 0 || redact.Withheld(st.Head, mask) {
		return 0
	}
	return mask
}

// granted is the classes of a version that a grant covers: of a grant to write,
// those that may change, whether or not what is left makes sense by itself.
func (s *Service) granted(ctx context.Context, g authz.Grant, st *sealed.Stored) field.ClassSet {
	f := facts(st.Head)
	if st.Record.Key.Type == binary && !st.Head.Deleted && g.Allowed() {
		r, err := s.Vault.Open(st, field.Set(field.Administrative))
		if err != nil {
			return 0
		}
		var ok bool
		if f, ok = s.binaryFacts(ctx, g, f, r); !ok {
			return 0
		}
	}
	if !st.Head.Deleted { // a tombstone has no content to select by
		f.Selects = s.selects(ctx, st.Record.Key.Type, func(c field.ClassSet) (*fhir.Resource, error) { return s.Vault.Open(st, c) })
	}
	if !g.Unrestricted() {
		f = s.knowing(ctx, g, f, st)
	}
	return g.Mask(f)
}

// hides reports whether a mask hides any class. By its extensions a resource of
// every type can hold every class.
func hides(visible field.ClassSet) bool { return !visible.Contains(field.AllClasses) }

// view opens the visible classes of a version and redacts it. The entity tag
// of a redacted view depends on what is visible only, so that it does not
// reveal hidden changes (decision 17).
func (s *Service) view(c Call, st *sealed.Stored, visible field.ClassSet) (body []byte, etag string, err error) {
	if c.shows(visible) {
		body, err = s.Vault.AppendOpen(make([]byte, 0, len(st.Record.Body)), st)
		return body, versionTag(st.Record.Version), err
	}
	tree, err := s.Vault.Open(st, visible)
	if err != nil {
		return nil, "", err
	}
	s.redact(c, tree, visible)
	body = tree.AppendJSON(make([]byte, 0, len(st.Record.Body)))
	return body, s.maskedTag(body, visible), nil
}

func (s *Service) maskedTag(body []byte, visible field.ClassSet) string {
	sum := sha256.Sum256(body)
	tag := s.Vault.PRF("etag:"+strconv.Itoa(int(visible)), string(sum[:]))
	return `W/"` + hex.EncodeToString(tag[:]) + `"`
}

func versionTag(v repository.Version) string { return `W/"` + strconv.FormatUint(uint64(v), 10) + `"` }

func location(k repository.Key, id string, v repository.Version) string {
	return fmt.Sprintf("%s/%s/_history/%d", k.Type, id, v)
}

// tagMatches reports whether an If-Match or If-None-Match header names one of
// the tags. Comparison is weak (RFC 9110 §8.8.3.2): resources are versioned,
// bytes are not.
func tagMatches(header string, tags ...string) bool {
	for _, h := range strings.Split(header, ",") {
		h = strings.TrimPrefix(strings.TrimSpace(h), "W/")
		for _, t := range tags {
			if h == "*" || h == strings.TrimPrefix(t, "W/") {
				return true
			}
		}
	}
	return false
}
