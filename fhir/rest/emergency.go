package rest

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/fieldseal/fieldseal/fhir/interaction"
)

// breakGlass names an emergency access in a request and, as a banner that a
// client must show, in every answer under it.
const breakGlass = "X-Break-Glass"

// emergency puts the call under the emergency access that the request names.
func (h *Handler) emergency(c *gin.Context, call interaction.Call) (interaction.Call, bool) {
	ids := c.Request.Header.Values(breakGlass)
	if len(ids) == 0 {
		return call, true
	}
	if len(ids) > 1 {
		h.outcome(c, http.StatusBadRequest, "invalid", breakGlass+" must stand once")
		return call, false
	}
	under, err := h.Service.Under(c.Request.Context(), call, ids[0])
	if err != nil {
		h.failed(c, err)
		return call, false
	}
	c.Header(breakGlass, under.Banner())
	return under, true
}
