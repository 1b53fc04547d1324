"""Pictures of transition data: numbers first (pure), then drawings, then one page."""
