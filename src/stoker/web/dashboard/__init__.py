"""The dashboard: pages made on the server, which change while one looks at them.

How a page is added:

1. A module with a part: a class made of the `Desk`, with `pages` (`Page`: path, template, `facts(visit)`) and `posts`
   (`Post`: path, `do(visit, form)`); see `page`. It joins the others in `parts.py`, in the order of the tabs.
2. `facts` asks for everything that the template shows: jobs through `visit.reach`, what all admins see alike through
   `desk.numbers`, other numbers that may be costly through `desk.answers.kept(name, plan)`. A page that is for admins
   only says `admins_only=True`; the check itself is `visit.reach.check_admin()`.
3. The template extends `layout.html` and fills `title` and `content`. Every link, form action and asset begins with
   `{{ root }}`, so that it works under any mount. What `ui.html` has (`ui.state`, `ui.ago`, `ui.act`, …) looks alike
   everywhere. No `style=` and no script in a template: the browser would refuse it.
4. What changes by itself stands in a block whose name begins with `live_`, as the only content of an element that
   names it: `<div data-live="numbers">{% block live_numbers %}…{% endblock %}</div>`. A block sees the facts and
   `ui`, and nothing that was set outside of it. Rows that come and go have an `id`. An element with `data-calm` keeps
   its rows in place while somebody points at them or has selected some.
5. `do` is a POST whose token was checked. It does the thing by `desk.acts(visit.reach)`, which writes down who did it,
   and answers `await visit.go("ui/queues", notice="…")`, or `visit.show(template, facts, 422)` where it asks
   back. In templates: `{{ ui.act(visit, "ui/queues/pause", "Pause", fields={"queue": name}) }}`, which is
   nothing where the server is read-only; forms of another shape stand in `{% if may_change %}` and begin with
   `{{ ui.csrf(visit) }}`.
"""

from stoker.web.dashboard.parts import dashboard

__all__ = ["dashboard"]
